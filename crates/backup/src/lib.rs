//! The layout of a backup: everything of a server in one file.
//!
//! The file is a zip: `backup.json` says what it is; `rows/TABLE.jsonl` has a row a line; `images/HASH` are the
//! images that those rows name; `sprints/FOLDER/sprint.toml` are the configurations. It comes from a disk or from
//! somebody else: nothing in it is believed before it was looked at.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, Write};
use std::path::{Component, Path};

use diptych_core::ImageHash;
use serde::{Deserialize, Serialize};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The version of the layout.
const FORMAT: u32 = 1;

/// The largest image, in bytes: four times what any picture may be.
const LARGEST_IMAGE: u64 = 128 << 20;

/// The longest text beside the rows, in bytes.
const LONGEST_TEXT: u64 = 4 << 20;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// When, in milliseconds since 1970, UTC.
    pub made_at: i64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Images in it.
    pub images: u64,
}

/// A sprint's configuration: the name of its folder, empty for the server's own, and its text.
pub type SprintToml = (String, String);

/// Why a file is no backup that can be brought back.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It is something else.
    #[error("it is no backup of this program")]
    Foreign,
    /// It is one of another version.
    #[error("its layout has version {0}, and this program reads {FORMAT}")]
    Version(u32),
    /// What it says of itself cannot be understood.
    #[error("`backup.json` cannot be understood: {0}")]
    Label(serde_json::Error),
    /// An image is not the one of its name.
    #[error("image {0} is damaged")]
    Image(String),
    /// It has other images than it says.
    #[error("it says that it has {said} images, and has {found}")]
    Images {
        /// So many, by its own word.
        said: u64,
        /// So many are there.
        found: u64,
    },
    /// A configuration is not where one can be.
    #[error("`{0}` is no place of a configuration")]
    Place(String),
    /// A part of it cannot be read.
    #[error("`{name}` cannot be read: {error}")]
    Part {
        /// The part.
        name: String,
        /// What is wrong with it.
        error: io::Error,
    },
}

/// A backup that is read.
pub struct Backup<R> {
    zip: ZipArchive<R>,
    label: Label,
    names: Vec<String>,
}

impl<R: Read + Seek> Backup<R> {
    /// # Errors
    /// Where the file is no backup of this version, or says other things of itself than it has.
    pub fn open(file: R) -> Result<Self, Flaw> {
        let mut zip = ZipArchive::new(file).map_err(|_| Flaw::Foreign)?;
        let text = text_of(&mut zip, "backup.json").map_err(|_| Flaw::Foreign)?;
        let label: Label = serde_json::from_str(&text).map_err(Flaw::Label)?;
        if label.format != FORMAT {
            return Err(Flaw::Version(label.format));
        }
        let names = zip.file_names().map(|name| name.map(std::borrow::Cow::into_owned));
        let names: Vec<String> = names.collect::<Result<_, _>>().map_err(|_| Flaw::Foreign)?;
        let backup = Self { zip, label, names };
        match backup.images().len() as u64 {
            found if found == backup.label.images => Ok(backup),
            found => Err(Flaw::Images { said: backup.label.images, found }),
        }
    }

    /// What it says of itself.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// The hashes of its images.
    pub fn images(&self) -> Vec<String> {
        self.names.iter().filter_map(|name| name.strip_prefix("images/")).map(str::to_owned).collect()
    }

    /// The bytes of one of them.
    ///
    /// # Errors
    /// Where they cannot be read, or are not those of this hash.
    pub fn image(&mut self, hash: &str) -> Result<Vec<u8>, Flaw> {
        let bytes = bytes_of(&mut self.zip, &format!("images/{hash}"), LARGEST_IMAGE)?;
        if ImageHash::of(&bytes).as_str() != hash {
            return Err(Flaw::Image(hash.to_owned()));
        }
        Ok(bytes)
    }

    /// The rows of a table as they stand there, one JSON object a line; nothing where it has none.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn rows(&mut self, table: &str) -> Result<Option<impl Read>, Flaw> {
        let name = format!("rows/{table}.jsonl");
        if !self.names.contains(&name) {
            return Ok(None);
        }
        self.zip.by_name(&name).map(Some).map_err(|error| part(&name, error.into()))
    }

    /// The configurations of its sprints.
    ///
    /// # Errors
    /// Where one cannot be read, or stands elsewhere than in a folder of its own.
    pub fn sprints(&mut self) -> Result<Vec<SprintToml>, Flaw> {
        let mut sprints = Vec::new();
        for name in self.names.iter().filter(|name| name.starts_with("sprints/")) {
            let folder = name.strip_prefix("sprints/").and_then(|rest| rest.strip_suffix("/sprint.toml"));
            let folder =
                folder.filter(|folder| is_one_folder(folder)).ok_or_else(|| Flaw::Place(name.clone()))?;
            sprints.push((folder.to_owned(), text_of(&mut self.zip, name)?));
        }
        Ok(sprints)
    }
}

/// Whether this is the name of one folder, or of none: nothing that leads elsewhere.
fn is_one_folder(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = parts.next().is_none_or(|part| matches!(part, Component::Normal(part) if part == name));
    first && parts.next().is_none() && !name.contains(['/', '\\', '\0'])
}

fn part(name: &str, error: io::Error) -> Flaw {
    Flaw::Part { name: name.to_owned(), error }
}

fn bytes_of<R: Read + Seek>(zip: &mut ZipArchive<R>, name: &str, most: u64) -> Result<Vec<u8>, Flaw> {
    let mut bytes = Vec::new();
    let entry = zip.by_name(name).map_err(|error| part(name, error.into()))?;
    entry.take(most + 1).read_to_end(&mut bytes).map_err(|error| part(name, error))?;
    if bytes.len() as u64 > most {
        return Err(part(name, io::Error::other(format!("it has more than {most} bytes"))));
    }
    Ok(bytes)
}

fn text_of<R: Read + Seek>(zip: &mut ZipArchive<R>, name: &str) -> Result<String, Flaw> {
    let bytes = bytes_of(zip, name, LONGEST_TEXT)?;
    String::from_utf8(bytes).map_err(|error| part(name, io::Error::new(io::ErrorKind::InvalidData, error)))
}

/// A backup that is written: rows table by table, then images, then configurations, in any number, and its label.
pub struct Writer<W: Write + Seek> {
    zip: ZipWriter<W>,
    table: Option<String>,
    rows: BTreeMap<String, u64>,
    images: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Nothing is written yet.
    pub fn new(file: W) -> Self {
        Self { zip: ZipWriter::new(file), table: None, rows: BTreeMap::new(), images: 0 }
    }

    /// Adds a row, a JSON object in one line; all of a table come one after another.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn row(&mut self, table: &str, row: &str) -> io::Result<()> {
        if self.table.as_deref() != Some(table) {
            self.begin(&format!("rows/{table}.jsonl"), CompressionMethod::Deflated)?;
            self.table = Some(table.to_owned());
            self.rows.insert(table.to_owned(), 0);
        }
        if let Some(count) = self.rows.get_mut(table) {
            *count += 1;
        }
        self.zip.write_all(row.as_bytes())?;
        self.zip.write_all(b"\n")
    }

    /// Adds an image.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn image(&mut self, hash: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(&format!("images/{hash}"), CompressionMethod::Stored)?;
        self.images += 1;
        self.zip.write_all(bytes)
    }

    /// Adds a sprint's configuration.
    ///
    /// # Errors
    /// Where it cannot be written, or its folder's name is none that can be brought back.
    pub fn sprint(&mut self, (folder, text): &SprintToml) -> io::Result<()> {
        if !is_one_folder(folder) {
            return Err(io::Error::other(format!("`{folder}` is a folder's name that no backup can hold")));
        }
        self.begin(&format!("sprints/{folder}/sprint.toml"), CompressionMethod::Deflated)?;
        self.zip.write_all(text.as_bytes())
    }

    /// Ends the file with what it says of itself: which version of the program made it, and when.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self, program: &str, made_at: i64) -> io::Result<(Label, W)> {
        self.begin("backup.json", CompressionMethod::Deflated)?;
        let (rows, images) = (self.rows, self.images);
        let label = Label { format: FORMAT, program: program.to_owned(), made_at, rows, images };
        serde_json::to_writer_pretty(&mut self.zip, &label)?;
        Ok((label, self.zip.finish()?))
    }

    fn begin(&mut self, name: &str, how: CompressionMethod) -> io::Result<()> {
        let options = SimpleFileOptions::default().large_file(true).compression_method(how);
        self.zip.start_file(name, options).map_err(ZipError::into)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn backup(entries: &[(&str, &str)]) -> Result<Backup<Cursor<Vec<u8>>>, Flaw> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        Backup::open(zip.finish().unwrap())
    }

    fn label(images: u64) -> String {
        format!(r#"{{"format": 1, "program": "0", "made_at": 1, "rows": {{}}, "images": {images}}}"#)
    }

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::new(Cursor::new(Vec::new()));
        for (table, row) in [("people", r#"{"a": 1}"#), ("people", r#"{"a": 2}"#), ("pairs", "{}")] {
            writer.row(table, row).unwrap();
        }
        let hash = ImageHash::of(b"a picture").as_str().to_owned();
        writer.image(&hash, b"a picture").unwrap();
        let sprints = [(String::new(), "own".to_owned()), ("birds".to_owned(), "[sprint]".to_owned())];
        for sprint in &sprints {
            writer.sprint(sprint).unwrap();
        }
        let (label, file) = writer.finish("1.2.3", 7).unwrap();
        assert_eq!((label.rows["people"], label.rows["pairs"], label.images), (2, 1, 1));
        let mut backup = Backup::open(file).unwrap();
        assert_eq!(backup.label(), &label);
        assert_eq!(backup.images(), std::slice::from_ref(&hash));
        assert_eq!(backup.image(&hash).unwrap(), b"a picture");
        assert_eq!(backup.sprints().unwrap(), sprints);
        let mut rows = String::new();
        backup.rows("people").unwrap().unwrap().read_to_string(&mut rows).unwrap();
        assert_eq!(rows, "{\"a\": 1}\n{\"a\": 2}\n");
        assert!(backup.rows("sprints").unwrap().is_none());
    }

    #[test]
    fn what_is_no_backup_says_why() {
        let why = |entries: &[(&str, &str)]| backup(entries).err().unwrap().to_string();
        assert_eq!(why(&[]), "it is no backup of this program");
        assert!(matches!(Backup::open(Cursor::new(b"PK".to_vec())), Err(Flaw::Foreign)));
        assert!(why(&[("backup.json", "{}")]).contains("missing field"));
        let newer = label(0).replace("\"format\": 1", "\"format\": 2");
        assert_eq!(why(&[("backup.json", &newer)]), "its layout has version 2, and this program reads 1");
        assert_eq!(why(&[("backup.json", &label(3))]), "it says that it has 3 images, and has 0");
        let mut other = backup(&[("backup.json", &label(1)), ("images/abc", "no picture")]).unwrap();
        assert_eq!(other.image("abc").unwrap_err().to_string(), "image abc is damaged");
    }

    #[test]
    fn a_configuration_stands_in_one_folder_or_none() {
        for (folder, good) in [
            ("birds", true),
            ("", true),
            ("..", false),
            (".", false),
            ("a/b", false),
            ("../a", false),
            ("2026: birds", true),
            ("a\\b", false),
            ("a\0", false),
        ] {
            let name = format!("sprints/{folder}/sprint.toml");
            let mut backup = backup(&[("backup.json", &label(0)), (&name, "x")]).unwrap();
            assert_eq!(backup.sprints().is_ok(), good, "{folder:?}");
        }
        assert!(Writer::new(Cursor::new(Vec::new())).sprint(&("a/b".to_owned(), String::new())).is_err());
        let mut stray = backup(&[("backup.json", &label(0)), ("sprints/notes", "x")]).unwrap();
        assert!(stray.sprints().is_err());
    }
}
