//! A consistent copy of a server in one file (`diptych_backup` knows its layout), while it serves, and back. What can
//! be made again (the pictures that pages show, the queue) is left out.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use diptych_backup::{Backup, Writer};
pub use diptych_backup::{Label, SprintToml};
use diptych_core::ImageHash;
use diptych_store::backup::{IN_ORDER, RowOfTable};
use diptych_store::{Blobs, Store};

use crate::ctx::now;
use crate::{Result, StageError};

fn failed(path: &Path, error: impl std::fmt::Display) -> StageError {
    StageError::Refused(format!("{}: {error}", path.display()))
}

/// Writes everything into `file`, which appears only when it is whole.
///
/// # Errors
/// Where the store fails or the file cannot be written; nothing is left then.
pub async fn write(
    store: &Store,
    blobs: Option<&Blobs>,
    sprints: &[SprintToml],
    file: &Path,
) -> Result<Label> {
    if file.exists() {
        return Err(StageError::Refused(format!("{} is there already: name a new file", file.display())));
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let bad = |error: std::io::Error| failed(file, error);
    let mut writer = Writer::new(BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(bad)?));
    let mut hashes = BTreeSet::new();
    store
        .dump(|table, row| {
            if table == "images"
                && let Ok(row) = serde_json::from_str::<serde_json::Value>(row)
                && let Some(hash) = row["hash"].as_str().filter(|hash| !hash.is_empty())
            {
                hashes.insert(hash.to_owned());
            }
            writer.row(table, row)
        })
        .await?;
    // Bytes are kept before the row that names them, and never changed: what these rows name is there.
    if let Some(blobs) = blobs {
        for hash in hashes {
            let bytes = blobs.image(&ImageHash::from_text(hash.clone())).await?;
            writer.image(&hash, &bytes).map_err(bad)?;
        }
    }
    for sprint in sprints {
        writer.sprint(sprint).map_err(bad)?;
    }
    let (label, part) = writer.finish(env!("CARGO_PKG_VERSION"), now()).map_err(bad)?;
    let part = part.into_inner().map_err(|error| bad(error.into_error()))?;
    part.as_file().sync_all().map_err(bad)?;
    part.persist_noclobber(file).map_err(|error| bad(error.error))?;
    Ok(label)
}

/// Brings everything in `file` back into a server that has nothing yet, and gives the sprints' configurations.
///
/// # Errors
/// Where the server has something, or the file is no whole backup; no row is brought back then.
pub async fn read(store: &Store, blobs: &Blobs, file: &Path) -> Result<(Label, Vec<SprintToml>)> {
    let opened = File::open(file).map_err(|error| failed(file, error))?;
    let mut backup = Backup::open(BufReader::new(opened)).map_err(|flaw| failed(file, flaw))?;
    if !store.is_empty().await? {
        let why = "a backup is brought back into a server that has nothing yet: name a new folder, or an empty database";
        return Err(StageError::Refused(why.to_owned()));
    }
    let sprints = backup.sprints().map_err(|flaw| failed(file, flaw))?;
    // Images before the rows that name them, as always.
    for hash in backup.images() {
        let bytes = backup.image(&hash).map_err(|flaw| failed(file, flaw))?;
        blobs.put_image(Bytes::from(bytes)).await?;
    }
    // Unpacked, so that rows can be read one by one, from the first one on as often as need be.
    let scratch = tempfile::tempdir().map_err(|error| failed(file, error))?;
    for table in IN_ORDER {
        if let Some(mut rows) = backup.rows(table).map_err(|flaw| failed(file, flaw))? {
            let to = File::create(scratch.path().join(table));
            to.and_then(|mut to| std::io::copy(&mut rows, &mut to)).map_err(|error| failed(file, error))?;
        }
    }
    let label = backup.label().clone();
    let wanted = label.rows.clone().into_iter().filter(|(_, count)| *count > 0).collect();
    store.restore(Arc::new(move || rows_in(scratch.path().to_owned())), wanted).await?;
    Ok((label, sprints))
}

fn rows_in(folder: PathBuf) -> std::io::Result<Box<dyn Iterator<Item = RowOfTable> + Send>> {
    let rows =
        IN_ORDER.iter().map(move |table| (*table, folder.join(table))).filter(|(_, path)| path.is_file());
    Ok(Box::new(rows.flat_map(|(table, path)| -> Box<dyn Iterator<Item = RowOfTable> + Send> {
        match File::open(path) {
            Ok(file) => Box::new(BufReader::new(file).lines().map(move |line| Ok((table.to_owned(), line?)))),
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    })))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _, Write as _};

    use diptych_core::{Name, Role};
    use diptych_store::people::PersonKind;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use zip::write::SimpleFileOptions;
    use zip::{ZipArchive, ZipWriter};

    use super::*;

    fn zipped(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(name.as_str(), SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn bytes_of(zip: &mut ZipArchive<BufReader<File>>, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Bytes of `whole`, some of them others, or without its end.
    fn spoilt(whole: &[u8], random: &mut StdRng) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        if bytes.is_empty() || random.random_range(0..8) == 0 {
            bytes.truncate(random.random_range(0..=whole.len()));
            return bytes;
        }
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..bytes.len());
            // What JSON and numbers are made of breaks more than any byte would.
            bytes[place] = match random.random_range(0..2) {
                0 => b"\"{}[],:0-9\\\n"[random.random_range(0..12)],
                _ => random.random(),
            };
        }
        bytes
    }

    /// Whatever the file holds, in its layout or in an entry of it: all of it comes back, or nothing does.
    #[tokio::test]
    async fn a_backup_of_anything_is_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open("sqlite:whole.db", folder.path()).await.unwrap();
        let sprint = store.sprint("birds", 1).await.unwrap();
        for name in ["Ana", "Ben", "Cem"] {
            let person = store.person(&Name::parse(name).unwrap(), PersonKind::Person, 1).await.unwrap();
            store.add_token(&person.id, name, 1).await.unwrap();
            store.set_role(&sprint, &person.id, Role::Moderator).await.unwrap();
        }
        let file = folder.path().join("whole.zip");
        write(&store, None, &[("birds".to_owned(), "[sprint]\n".to_owned())], &file).await.unwrap();
        let whole = std::fs::read(&file).unwrap();
        let mut zip = ZipArchive::new(BufReader::new(File::open(&file).unwrap())).unwrap();
        let names: Vec<String> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        let entries: Vec<(String, Vec<u8>)> =
            names.into_iter().map(|name| (name.clone(), bytes_of(&mut zip, &name))).collect();

        let mut random = StdRng::seed_from_u64(41);
        let (mut number, mut refused) = (0, 0);
        let mut fresh = Store::open("sqlite:0.db", folder.path()).await.unwrap();
        let blobs = Blobs::open("file:blobs", folder.path()).unwrap();
        for round in 0..300 {
            let bytes = if round % 3 == 0 {
                spoilt(&whole, &mut random)
            } else {
                let mut entries = entries.clone();
                let place = random.random_range(0..entries.len());
                entries[place].1 = spoilt(&entries[place].1, &mut random);
                zipped(&entries)
            };
            let spoilt = folder.path().join("spoilt.zip");
            std::fs::write(&spoilt, bytes).unwrap();
            match read(&fresh, &blobs, &spoilt).await {
                Err(_) => {
                    refused += 1;
                    assert!(fresh.is_empty().await.unwrap(), "round {round}: a part came back");
                }
                Ok((label, _)) => {
                    assert_eq!(label.rows.get("people"), Some(&3), "round {round}");
                    number += 1;
                    fresh.close().await;
                    fresh = Store::open(&format!("sqlite:{number}.db"), folder.path()).await.unwrap();
                }
            }
        }
        assert!(refused > 100 && number > 0, "{refused} refused, {number} read");
    }
}
