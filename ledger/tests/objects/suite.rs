//! What both kinds of storage do alike.

use std::fs;

use sallyport_ledger::{ObjectError, objects::MAXIMUM_OBJECT_BYTES};
use sallyport_workflows::ObjectRef;

use super::Storage;

/// Makes one test of each kind for each function.
macro_rules! over_both {
    ($($name:ident),+ $(,)?) => {
        mod in_a_folder {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Storage::folder()).await;
            })+
        }
        mod in_a_bucket {
            $(#[tokio::test]
            async fn $name() {
                super::$name(super::Storage::bucket()).await;
            })+
        }
    };
}

pub(crate) use over_both;

over_both!(
    what_was_put_is_got,
    the_hash_is_checked,
    a_reference_cannot_lead_out,
    missing_and_binary_objects_are_told_apart,
    the_largest_fits_and_more_is_refused,
    a_document_is_written_once,
    one_of_many_writers_of_a_document_wins,
    documents_are_listed_in_order,
    a_document_has_a_plain_name,
    a_usable_storage_passes_the_check_again_and_again,
);

async fn what_was_put_is_got(storage: Storage) {
    let objects = storage.objects();
    let reference = objects.put("Grüße").await.unwrap();
    assert_eq!(reference, objects.put("Grüße").await.unwrap());
    assert_eq!(objects.get_text(&reference).await.unwrap(), "Grüße");
    assert!(storage.file(&reference.key).is_file());
    let nothing = objects.put("").await.unwrap();
    assert_eq!(objects.get_text(&nothing).await.unwrap(), "");
}

async fn the_hash_is_checked(storage: Storage) {
    let objects = storage.objects();
    let reference = objects.put("approved").await.unwrap();
    for other in ["apprOved", "approved and more", "appr", ""] {
        fs::write(storage.file(&reference.key), other).unwrap();
        let got = objects.get(&reference).await;
        assert!(
            matches!(got, Err(ObjectError::Changed(_))),
            "{other}: {got:?}"
        );
    }
    // Writing it again mends it.
    objects.put("approved").await.unwrap();
    assert_eq!(objects.get_text(&reference).await.unwrap(), "approved");
}

async fn a_reference_cannot_lead_out(storage: Storage) {
    for key in [
        "sha256/../../etc/passwd",
        "/etc/passwd",
        "sha256/",
        "",
        "md5/0",
        "named/seals/1.json",
    ] {
        let reference = ObjectRef {
            key: key.to_owned(),
            bytes: 1,
        };
        let got = storage.objects().get(&reference).await;
        assert!(matches!(got, Err(ObjectError::BadKey(_))), "{key}");
    }
}

async fn missing_and_binary_objects_are_told_apart(storage: Storage) {
    let objects = storage.objects();
    let absent = ObjectRef::of(b"never stored");
    assert!(matches!(
        objects.get(&absent).await,
        Err(ObjectError::NotFound(_))
    ));
    let binary = objects.put(vec![0xff, 0xfe, 0]).await.unwrap();
    assert!(matches!(
        objects.get_text(&binary).await,
        Err(ObjectError::NotText(_))
    ));
}

async fn the_largest_fits_and_more_is_refused(storage: Storage) {
    let objects = storage.objects();
    let largest = objects.put(vec![7u8; MAXIMUM_OBJECT_BYTES as usize]).await;
    let content = objects.get(&largest.unwrap()).await.unwrap();
    assert_eq!(content.len() as u64, MAXIMUM_OBJECT_BYTES);
    let larger = vec![0u8; MAXIMUM_OBJECT_BYTES as usize + 1];
    assert!(matches!(
        objects.put(larger.clone()).await,
        Err(ObjectError::TooLarge(_))
    ));
    assert!(matches!(
        objects.put_named("large", larger).await,
        Err(ObjectError::TooLarge(_))
    ));
}

async fn a_document_is_written_once(storage: Storage) {
    let objects = storage.objects();
    let name = "seals/0000000000000001.json";
    assert_eq!(objects.get_named(name).await.unwrap(), None);
    objects.put_named(name, "first").await.unwrap();
    objects.put_named(name, "first").await.unwrap();
    let taken = objects.put_named(name, "other").await.unwrap_err();
    assert!(matches!(taken, ObjectError::Taken(_)), "{taken}");
    assert!(taken.to_string().contains(name));
    let found = objects.get_named(name).await.unwrap().unwrap();
    assert_eq!(found, "first");
}

async fn one_of_many_writers_of_a_document_wins(storage: Storage) {
    let objects = storage.objects();
    // One first: the tests' S3 server looks and writes in two steps, so only a folder decides between writers that start
    // from nothing at the same time.
    if matches!(storage, Storage::Bucket(..)) {
        objects.put_named("chain/1", "by 0").await.unwrap();
    }
    let writers = (0..8).map(|writer| {
        let objects = objects.clone();
        tokio::spawn(async move {
            objects
                .put_named("chain/1", format!("by {writer}"))
                .await
                .map(|()| writer)
        })
    });
    let mut winners = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        match writer.await.unwrap() {
            Ok(writer) => winners.push(writer),
            Err(error) => assert!(matches!(error, ObjectError::Taken(_)), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let found = objects.get_named("chain/1").await.unwrap().unwrap();
    assert_eq!(found, format!("by {}", winners[0]));
}

async fn documents_are_listed_in_order(storage: Storage) {
    let objects = storage.objects();
    assert_eq!(objects.list_named("seals").await.unwrap(), [""; 0]);
    for number in [3, 1, 10, 2] {
        let name = format!("seals/{number:016}.json");
        objects.put_named(&name, format!("{number}")).await.unwrap();
    }
    objects.put_named("sealed/1.json", "").await.unwrap();
    objects.put("an object").await.unwrap();
    let expected = [1, 2, 3, 10].map(|number| format!("seals/{number:016}.json"));
    assert_eq!(objects.list_named("seals").await.unwrap(), expected);
    assert_eq!(objects.list_named("seals/").await.unwrap(), expected);
}

async fn a_document_has_a_plain_name(storage: Storage) {
    let objects = storage.objects();
    let long = "a".repeat(501);
    for name in [
        "", "/", "a//b", "a/", "../x", "a/../b", ".hidden", "A", "a b", "a\0b", "ä", &long,
    ] {
        let put = objects.put_named(name, "x").await;
        assert!(
            matches!(put, Err(ObjectError::BadName(_))),
            "{name}: {put:?}"
        );
        assert!(objects.get_named(name).await.is_err(), "{name}");
    }
}

async fn a_usable_storage_passes_the_check_again_and_again(storage: Storage) {
    storage.objects().check().await.unwrap();
    storage.objects().check().await.unwrap();
}
