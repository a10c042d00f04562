//! Blobs: the same in a folder and in an S3 bucket.

use bytes::Bytes;
use diptych_core::{ImageHash, PairId};
use diptych_store::{Blobs, StoreError};
use tempfile::TempDir;

async fn bytes_come_back_under_their_hash(blobs: &Blobs) {
    let bytes = Bytes::from_static(b"\xff\xd8 not quite a picture \0");
    let hash = blobs.put_image(bytes.clone()).await.unwrap();
    assert_eq!(hash, ImageHash::of(&bytes));
    assert_eq!(blobs.image(&hash).await.unwrap(), bytes);
    let empty = blobs.put_image(Bytes::new()).await.unwrap();
    assert_eq!(blobs.image(&empty).await.unwrap(), Bytes::new());
}

async fn the_same_bytes_are_one_blob(blobs: &Blobs) {
    let bytes = Bytes::from(vec![7_u8; 3_000_000]);
    let puts = (0..8).map(|_| blobs.put_image(bytes.clone()));
    for hash in futures::future::join_all(puts).await {
        assert_eq!(hash.unwrap(), ImageHash::of(&bytes));
    }
    assert_eq!(blobs.put_image(bytes.clone()).await.unwrap(), ImageHash::of(&bytes));
    assert_eq!(blobs.image(&ImageHash::of(&bytes)).await.unwrap(), bytes);
}

#[tokio::test]
async fn what_a_crash_has_left_of_a_blob_is_written_again() {
    let folder = TempDir::new().unwrap();
    let blobs = Blobs::open("file:blobs", folder.path()).unwrap();
    let hash = blobs.put_image(Bytes::from_static(b"whole")).await.unwrap();
    let file = folder.path().join("blobs/images").join(&hash.as_str()[..2]).join(hash.as_str());
    std::fs::write(&file, b"").unwrap();
    blobs.put_image(Bytes::from_static(b"whole")).await.unwrap();
    assert_eq!(blobs.image(&hash).await.unwrap(), Bytes::from_static(b"whole"));
}

async fn a_missing_blob_is_named(blobs: &Blobs) {
    let hash = ImageHash::of(b"never kept");
    match blobs.image(&hash).await {
        Err(error @ StoreError::Blob { .. }) => assert!(error.to_string().contains(hash.as_str()), "{error}"),
        other => panic!("{other:?}"),
    }
}

async fn what_is_derived_may_be_made_again(blobs: &Blobs) {
    assert_eq!(blobs.derived("display-1/abc.jpg").await.unwrap(), None);
    for version in ["one", "two"] {
        blobs.put_derived("display-1/abc.jpg", Bytes::from(version)).await.unwrap();
        assert_eq!(blobs.derived("display-1/abc.jpg").await.unwrap(), Some(Bytes::from(version)));
    }
    assert_eq!(blobs.derived("display-2/abc.jpg").await.unwrap(), None);
}

async fn a_ready_store_leaves_nothing_behind(blobs: &Blobs) {
    blobs.ready().await.unwrap();
    blobs.ready().await.unwrap();
}

macro_rules! conformance {
    ($($name:ident),+ $(,)?) => {
        mod folder {
            $(#[tokio::test]
            async fn $name() {
                let folder = tempfile::TempDir::new().unwrap();
                super::$name(&diptych_store::Blobs::open("file:blobs", folder.path()).unwrap()).await;
            })+
        }
        mod s3 {
            $(#[tokio::test]
            #[ignore = "needs an S3 server: cargo xtask ci"]
            async fn $name() {
                super::$name(&super::bucket()).await;
            })+
        }
    };
}

conformance!(
    bytes_come_back_under_their_hash,
    the_same_bytes_are_one_blob,
    a_missing_blob_is_named,
    what_is_derived_may_be_made_again,
    a_ready_store_leaves_nothing_behind,
);

/// A prefix of this test's own in the bucket that `DIPTYCH_TEST_S3_BUCKET` names.
fn bucket() -> Blobs {
    let bucket = std::env::var("DIPTYCH_TEST_S3_BUCKET").expect("DIPTYCH_TEST_S3_BUCKET must name a bucket");
    let folder = TempDir::new().unwrap();
    Blobs::open(&format!("s3://{bucket}/test/{}", PairId::new()), folder.path()).unwrap()
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { names.extend(files(&path)) } else { names.push(path.display().to_string()) }
    }
    names
}

#[tokio::test]
async fn a_folder_holds_each_image_once_under_its_first_two_digits() {
    let folder = TempDir::new().unwrap();
    let blobs = Blobs::open("file:any name, 50%", folder.path()).unwrap();
    blobs.ready().await.unwrap();
    let hash = blobs.put_image(Bytes::from_static(b"abc")).await.unwrap();
    let path = folder.path().join("any name, 50%").join(format!("images/ba/{hash}"));
    assert_eq!(files(folder.path()), [path.display().to_string()]);
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    blobs.put_image(Bytes::from_static(b"abc")).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written, "it is not written again");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = Blobs::open("file:file/blobs", folder.path()).err().unwrap().to_string();
    assert!(error.contains("file:file/blobs") && error.contains("cannot be made"), "{error}");
}

#[tokio::test]
async fn a_derived_name_stays_inside_its_folder() {
    let folder = TempDir::new().unwrap();
    let blobs = Blobs::open("file:blobs", folder.path()).unwrap();
    blobs.put_derived("../../../escape", Bytes::from_static(b"x")).await.ok();
    let inside = folder.path().join("blobs").display().to_string();
    assert!(files(folder.path()).iter().all(|file| file.starts_with(&inside)));
}
