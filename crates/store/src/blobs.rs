//! Blobs by the hash of their bytes, in a folder or in S3.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use diptych_core::ImageHash;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use crate::{Result, StoreError};

/// The blob store of a server.
#[derive(Clone)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    /// What all names begin with.
    prefix: Key,
    /// The folder, where it is one: files there are made to last by flushing them.
    folder: Option<PathBuf>,
}

impl Blobs {
    /// Opens `file:PATH` (made where it does not exist; relative to `folder`) or `s3://BUCKET/PREFIX`
    /// (keys, region and endpoint from the usual `AWS_…` variables).
    ///
    /// # Errors
    /// Where the address is not usable or the folder cannot be made.
    pub fn open(url: &str, folder: &Path) -> Result<Self> {
        let fail = |reason: String| StoreError::BlobStore { url: url.to_owned(), reason };
        if let Some(rest) = url.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let store = object_store::aws::AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .build()
                .map_err(|error| fail(error.to_string()))?;
            return Ok(Self { store: Arc::new(store), prefix: Key::from(prefix), folder: None });
        }
        let path = folder.join(url.strip_prefix("file:").unwrap_or(url).trim_start_matches("//"));
        std::fs::create_dir_all(&path)
            .map_err(|error| fail(format!("the folder cannot be made: {error}")))?;
        let store = object_store::local::LocalFileSystem::new_with_prefix(&path)
            .map_err(|error| fail(error.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix: Key::default(), folder: Some(path) })
    }

    /// Looks whether the blob store at `url` could be used, and changes nothing: one sentence on it.
    ///
    /// # Errors
    /// Where it could not.
    pub async fn probe(url: &str, folder: &Path) -> Result<String> {
        if !url.starts_with("s3://") {
            let path = folder.join(url.strip_prefix("file:").unwrap_or(url).trim_start_matches("//"));
            return Ok(if path.is_dir() { "is there" } else { "does not exist yet; the first run makes it" }
                .to_owned());
        }
        let blobs = Self::open(url, folder)?;
        blobs.size("ready").await?;
        Ok("answers".to_owned())
    }

    /// Keeps an image's original bytes and gives its name. Bytes that are there already, whole, are not
    /// written again; that they last is made sure of all the same.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub async fn put_image(&self, bytes: Bytes) -> Result<ImageHash> {
        let hash = ImageHash::of(&bytes);
        let name = image_name(&hash);
        // A file of another length is what a crash has left of a write.
        if self.size(&name).await? == Some(bytes.len() as u64) {
            self.flush(&name).await?;
        } else {
            self.put(&name, bytes).await?;
        }
        Ok(hash)
    }

    /// An image's original bytes.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn image(&self, hash: &ImageHash) -> Result<Bytes> {
        self.get(&image_name(hash)).await
    }

    /// Keeps something that can be made again, such as a display encoding.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn put_derived(&self, name: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(&format!("derived/{name}"));
        self.store.put(&key, PutPayload::from(bytes)).await.map_err(failed("cannot write", &key))?;
        Ok(())
    }

    /// Something that can be made again, where it has been kept.
    ///
    /// # Errors
    /// Where it cannot be read although it is there.
    pub async fn derived(&self, name: &str) -> Result<Option<Bytes>> {
        match self.get(&format!("derived/{name}")).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Blob { source: object_store::Error::NotFound { .. }, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether something that can be made again has been kept.
    ///
    /// # Errors
    /// Where the store does not say.
    pub async fn has_derived(&self, name: &str) -> Result<bool> {
        let key = self.key(&format!("derived/{name}"));
        match self.store.head(&key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("cannot look for", &key)(error)),
        }
    }

    /// The folder that holds them; none where they are elsewhere.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Whether a blob can be written and read back right now.
    ///
    /// # Errors
    /// Where it cannot.
    pub async fn ready(&self) -> Result<()> {
        // Under a name of its own: others may be looking at the same moment.
        let key = self.key(&format!("ready-{:032x}", rand::random::<u128>()));
        self.store
            .put(&key, PutPayload::from_static(b"ready"))
            .await
            .map_err(failed("cannot write", &key))?;
        self.store.get(&key).await.map_err(failed("cannot read", &key))?;
        self.store.delete(&key).await.map_err(failed("cannot delete", &key))
    }

    async fn size(&self, name: &str) -> Result<Option<u64>> {
        let key = self.key(name);
        match self.store.head(&key).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("cannot look for", &key)(error)),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<()> {
        let key = self.key(name);
        self.store.put(&key, PutPayload::from(bytes)).await.map_err(failed("cannot write", &key))?;
        self.flush(name).await
    }

    /// The row that names a blob is flushed at its commit; the blob must not come later.
    async fn flush(&self, name: &str) -> Result<()> {
        if let Some(folder) = &self.folder {
            let (path, root, key) = (folder.join(name), folder.clone(), self.key(name));
            tokio::task::spawn_blocking(move || flush(&path, &root))
                .await
                .map_err(|error| std::io::Error::other(error.to_string()))
                .and_then(|flushed| flushed)
                .map_err(|error| {
                    failed("cannot flush", &key)(object_store::Error::Generic {
                        store: "folder",
                        source: Box::new(error),
                    })
                })?;
        }
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Bytes> {
        let key = self.key(name);
        let found = self.store.get(&key).await.map_err(failed("cannot read", &key))?;
        found.bytes().await.map_err(failed("cannot read", &key))
    }

    fn key(&self, name: &str) -> Key {
        self.prefix.parts().chain(Key::from(name).parts()).collect()
    }
}

/// Flushes a file and the folders that name it, up to the root: they may be new too.
fn flush(path: &Path, root: &Path) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_data()?;
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// `images/ab/abcdef…`: the first two digits spread a large sprint over 256 folders.
fn image_name(hash: &ImageHash) -> String {
    let hash = hash.as_str();
    format!("images/{}/{hash}", hash.get(..2).unwrap_or_default())
}

fn failed(action: &'static str, key: &Key) -> impl FnOnce(object_store::Error) -> StoreError {
    let name = key.to_string();
    move |source| StoreError::Blob { action, name, source }
}
