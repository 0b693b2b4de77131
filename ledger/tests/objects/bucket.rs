//! What only a server can do wrong, and that we do not ask it for more than is needed.

use std::{fs, net::TcpListener};

use sallyport_ledger::{
    ObjectError, Objects,
    config::{ObjectsConfig, S3Config},
    secret::SecretString,
};
use sallyport_test_support::s3::{S3Server, SECRET_ACCESS_KEY};
use sallyport_workflows::ObjectRef;

use super::{BUCKET, s3};

fn open(config: S3Config) -> Objects {
    Objects::open(&ObjectsConfig::bucket(config)).unwrap()
}

/// All that the storage can be asked for, each with what came of it.
async fn each_way(objects: &Objects) -> Vec<(&'static str, ObjectError)> {
    vec![
        ("check", objects.check().await.unwrap_err()),
        ("put", objects.put("x").await.unwrap_err()),
        ("get", objects.get(&ObjectRef::of(b"x")).await.unwrap_err()),
        (
            "put_named",
            objects.put_named("a/1", "x").await.unwrap_err(),
        ),
        ("get_named", objects.get_named("a/1").await.unwrap_err()),
        ("list_named", objects.list_named("a").await.unwrap_err()),
    ]
}

#[tokio::test]
async fn what_is_there_is_not_uploaded_again() {
    let server = S3Server::start(BUCKET).unwrap();
    let objects = open(s3(server.endpoint()));
    let put = &reqwest::Method::PUT;
    let reference = objects.put("once").await.unwrap();
    objects.put("once").await.unwrap();
    assert_eq!(server.requests(put, &reference.key), 1);

    // Damage that shows in the length is mended.
    let file = server.file(BUCKET, &format!("of/ours/{}", reference.key));
    fs::write(&file, "o").unwrap();
    objects.put("once").await.unwrap();
    assert_eq!(server.requests(put, &reference.key), 2);

    // What is old is written again, so that nobody takes it for forgotten.
    let day_before_yesterday =
        std::time::SystemTime::now() - 2 * sallyport_ledger::objects::UPLOAD_AGAIN_AFTER;
    let old = fs::File::options().write(true).open(&file).unwrap();
    old.set_modified(day_before_yesterday).unwrap();
    objects.put("once").await.unwrap();
    assert_eq!(server.requests(put, &reference.key), 3);
    let modified = fs::metadata(&file).unwrap().modified().unwrap();
    assert!(modified > day_before_yesterday);
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_never_shown() {
    let server = S3Server::start(BUCKET).unwrap();
    let wrong_secret = S3Config {
        secret_access_key: Some(SecretString::from("do-not-show-this")),
        ..s3(server.endpoint())
    };
    let unknown_key = S3Config {
        access_key_id: Some(SecretString::from("NOBODY")),
        ..s3(server.endpoint())
    };
    for config in [wrong_secret, unknown_key] {
        assert!(!format!("{config:?}").contains("do-not-show-this"));
        let objects = open(config);
        assert!(!format!("{objects:?}").contains("do-not-show-this"));
        for (way, error) in each_way(&objects).await {
            let text = format!("{error} {error:?}");
            // A HEAD has no body, so its refusal has no code.
            assert!(
                matches!(error, ObjectError::Refused { .. }),
                "{way}: {text}"
            );
            assert!(text.contains("objects.s3.secret_access_key"), "{text}");
            assert!(!text.contains("do-not-show-this"), "{text}");
            assert!(!text.contains(SECRET_ACCESS_KEY), "{text}");
            assert!(error.is_temporary());
        }
    }
}

#[tokio::test]
async fn a_missing_bucket_is_named() {
    let server = S3Server::start(BUCKET).unwrap();
    let objects = open(S3Config {
        bucket: "elsewhere".into(),
        ..s3(server.endpoint())
    });
    let error = objects.check().await.unwrap_err();
    assert!(matches!(error, ObjectError::NoBucket { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("bucket `elsewhere`") && text.contains("objects.s3.bucket"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let port = {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    };
    let objects = open(s3(&format!("http://127.0.0.1:{port}")));
    for (way, error) in each_way(&objects).await {
        let text = error.to_string();
        assert!(
            matches!(error, ObjectError::Unreachable { .. }),
            "{way}: {error:?}"
        );
        assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
        assert!(error.is_temporary());
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_content() {
    let server = S3Server::start(BUCKET).unwrap();
    let objects = open(s3(server.endpoint()));
    let reference = objects.put("the whole content").await.unwrap();
    objects.put_named("a/1", "the whole content").await.unwrap();
    server.break_off(true);
    let got = objects.get(&reference).await.unwrap_err();
    assert!(got.is_temporary(), "{got}");
    let got = objects.get_named("a/1").await.unwrap_err();
    assert!(got.is_temporary(), "{got}");
    server.break_off(false);
    assert_eq!(objects.get(&reference).await.unwrap(), "the whole content");
}

#[tokio::test]
async fn another_server_with_the_same_configuration_goes_on() {
    let server = S3Server::start(BUCKET).unwrap();
    let reference = open(s3(server.endpoint())).put("kept").await.unwrap();
    let other = open(s3(server.endpoint()));
    assert_eq!(other.get_text(&reference).await.unwrap(), "kept");
    // Another folder of the same bucket is another storage.
    let elsewhere = open(S3Config {
        prefix: None,
        ..s3(server.endpoint())
    });
    assert!(matches!(
        elsewhere.get(&reference).await,
        Err(ObjectError::NotFound(_))
    ));
}

#[test]
fn a_section_that_cannot_work_is_refused_with_its_key() {
    let refused = |config: S3Config| {
        Objects::open(&ObjectsConfig::bucket(config))
            .unwrap_err()
            .to_string()
    };
    let endpoint = "http://127.0.0.1:1";
    let plain = refused(S3Config {
        allow_http: false,
        ..s3(endpoint)
    });
    assert!(plain.contains("objects.s3.allow_http"), "{plain}");
    let bare = refused(s3("127.0.0.1:1"));
    assert!(bare.contains("objects.s3.endpoint"), "{bare}");
    let nameless = refused(S3Config {
        bucket: String::new(),
        ..s3(endpoint)
    });
    assert!(nameless.contains("objects.s3.bucket"), "{nameless}");
    let keyless = refused(S3Config {
        secret_access_key: None,
        ..s3(endpoint)
    });
    assert!(
        keyless.contains("objects.s3.secret_access_key_file"),
        "{keyless}"
    );
    let both = ObjectsConfig {
        path: Some("objects".into()),
        s3: Some(s3(endpoint)),
    };
    let both = Objects::open(&both).unwrap_err().to_string();
    assert!(
        both.contains("objects.path") && both.contains("both set"),
        "{both}"
    );
    let neither = Objects::open(&ObjectsConfig::default())
        .unwrap_err()
        .to_string();
    assert!(neither.contains("both missing"), "{neither}");
}
