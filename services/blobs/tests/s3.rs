//! The store in a bucket, on an S3 server that is not ours.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mainstem_blobs::S3Blobs;
use mainstem_kernel::runner::{BlobError, Blobs};
use mainstem_schemas::Digest;
use mainstem_test_s3::S3;
use object_store::ObjectStoreExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;

type Settings = BTreeMap<String, String>;

/// One for all tests, each of which has a prefix of its own.
fn server() -> &'static S3 {
    static SERVER: OnceLock<S3> = OnceLock::new();
    SERVER.get_or_init(|| S3::start().unwrap())
}

fn settings() -> Settings {
    let server = server();
    server.environment(server.worker()).into_iter().collect()
}

fn place(prefix: &str) -> String {
    format!("s3://{}/{prefix}", server().bucket())
}

fn blobs(prefix: &str) -> S3Blobs {
    S3Blobs::open(&place(prefix), settings()).unwrap()
}

/// The bucket without the store around it.
fn bucket() -> AmazonS3 {
    let settings = settings();
    AmazonS3Builder::new()
        .with_bucket_name(server().bucket())
        .with_access_key_id(&settings["AWS_ACCESS_KEY_ID"])
        .with_secret_access_key(&settings["AWS_SECRET_ACCESS_KEY"])
        .with_region(&settings["AWS_REGION"])
        .with_endpoint(&settings["AWS_ENDPOINT_URL"])
        .with_allow_http(true)
        .build()
        .unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(work)
}

fn key(prefix: &str, digest: &Digest) -> Path {
    let name = digest.to_string();
    Path::from(format!("{prefix}/{}/{name}", &name[..2]))
}

/// What a check with one setting changed is refused with.
fn refused(prefix: &str, change: impl FnOnce(&mut Settings)) -> String {
    let mut settings = settings();
    change(&mut settings);
    refused_at(&place(prefix), settings)
}

fn refused_at(place: &str, settings: Settings) -> String {
    let blobs = S3Blobs::open(place, settings.clone()).unwrap();
    let refused = [
        blobs.check(),
        blobs.put(b"model").map(drop),
        blobs.get(&Digest::of(b"model")).map(drop),
    ];
    let told = refused.map(|refused| match refused {
        Err(BlobError::Store(told)) => told,
        other => panic!("{other:?}"),
    });
    let [id, secret] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| &settings[name]);
    for told in &told {
        assert!(!told.contains(id) && !told.contains(secret), "{told}");
        assert!(!told.to_lowercase().contains("signature="), "{told}");
    }
    told[0].clone()
}

#[track_caller]
fn names(told: &str, words: &[&str]) {
    assert!(words.iter().all(|word| told.contains(word)), "{told}");
}

#[test]
fn what_is_put_is_got_by_every_process_and_damage_is_told_from_absence() {
    let blobs = blobs("put");
    assert_eq!(blobs.check(), Ok(()));
    let digest = blobs.put(b"model").unwrap();
    assert_eq!(digest, Digest::of(b"model"));
    let at = key("put", &digest);
    let written = run(bucket().head(&at)).unwrap();
    // Again: it is there, and is not sent again.
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(blobs.put(b"model"), Ok(digest));
    assert_eq!(
        run(bucket().head(&at)).unwrap().last_modified,
        written.last_modified
    );
    let other = S3Blobs::open(&place("put"), settings()).unwrap();
    assert_eq!(&*other.get(&digest).unwrap(), b"model");

    let damaged = BlobError::Damaged(format!("s3://{}/{at}", server().bucket()));
    run(bucket().put(&at, b"nodel".to_vec().into())).unwrap();
    assert_eq!(other.get(&digest), Err(damaged.clone()));
    run(bucket().put(&at, Vec::new().into())).unwrap();
    assert_eq!(other.get(&digest), Err(damaged));
    // Put again, it is whole again.
    assert_eq!(blobs.put(b"model"), Ok(digest));
    assert_eq!(&*other.get(&digest).unwrap(), b"model");

    let lost = Digest::of(b"lost");
    let missing = BlobError::Missing(format!("s3://{}/{}", server().bucket(), key("put", &lost)));
    assert_eq!(other.get(&lost), Err(missing));
    let nothing = blobs.put(b"").unwrap();
    assert_eq!(&*blobs.get(&nothing).unwrap(), b"");
}

#[test]
fn what_is_larger_than_a_part_goes_up_in_parts() {
    let blobs = blobs("parts");
    // One more than a part, and more parts than are under way at once, with a rest.
    for size in [(16 << 20) + 1_usize, 5 * (16 << 20) + 12_345] {
        let bytes: Vec<u8> = (0..size as u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let digest = blobs.put(&bytes).unwrap();
        assert!(*blobs.get(&digest).unwrap() == bytes[..]);
        let about = run(bucket().head(&key("parts", &digest))).unwrap();
        assert_eq!(about.size, bytes.len() as u64);
        // The tag of what went up in parts says in how many.
        let tag = about.e_tag.unwrap();
        let parts = size.div_ceil(16 << 20);
        assert!(tag.ends_with(&format!("-{parts}\"")), "{tag}");
    }
}

#[test]
fn writers_of_the_same_bytes_do_not_meet() {
    let blobs = blobs("writers");
    for round in 0u8..5 {
        let bytes = vec![round; 100_000];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let digest = blobs.put(&bytes).unwrap();
                    assert_eq!(*blobs.get(&digest).unwrap(), bytes[..]);
                });
            }
        });
    }
}

#[test]
fn a_call_from_a_thread_of_another_runtime_is_answered() {
    let blobs = Arc::new(blobs("runtime"));
    run(async {
        let digest = blobs.put(b"model").unwrap();
        assert_eq!(&*blobs.get(&digest).unwrap(), b"model");
        drop(blobs);
    });
}

#[test]
fn a_wrong_secret_and_an_unknown_key_are_told() {
    let told = refused("secret", |settings| {
        settings.insert("AWS_SECRET_ACCESS_KEY".into(), "hush-hush".into());
    });
    let at = format!("s3://{}/secret/probe", server().bucket());
    names(
        &told,
        &[&at, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"],
    );
    let told = refused("unknown", |settings| {
        settings.insert("AWS_ACCESS_KEY_ID".into(), "AKIAHUSHHUSH".into());
    });
    names(&told, &["InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn a_user_who_may_only_read_is_told_what_to_grant() {
    let settings: Settings = server()
        .environment(server().reader())
        .into_iter()
        .collect();
    let blobs = S3Blobs::open(&place("reader"), settings).unwrap();
    let told = blobs.check().unwrap_err().to_string();
    names(
        &told,
        &[
            "reader/probe was not written",
            "AccessDenied",
            "s3:PutObject",
        ],
    );
    let missing = blobs.get(&Digest::of(b"model"));
    assert!(matches!(missing, Err(BlobError::Missing(_))), "{missing:?}");
}

#[test]
fn a_bucket_that_is_not_there_is_no_missing_blob() {
    let told = refused_at("s3://nowhere/x", settings());
    names(
        &told,
        &[
            "s3://nowhere/x/probe",
            "NoSuchBucket",
            "create the bucket",
            "--blobs",
        ],
    );
}

#[test]
fn an_endpoint_that_is_down_is_told_after_some_tries() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut settings = settings();
    settings.insert("AWS_ENDPOINT_URL".into(), format!("http://{free}"));
    let begun = Instant::now();
    let blobs = S3Blobs::open(&place("down"), settings).unwrap();
    let told = blobs.check().unwrap_err().to_string();
    names(
        &told,
        &[
            "down/probe was not written",
            "nobody answers",
            "AWS_ENDPOINT_URL",
        ],
    );
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_server_that_dies_between_two_calls_is_no_missing_blob() {
    let mut server = S3::start().unwrap();
    let place = format!("s3://{}", server.bucket());
    let blobs = S3Blobs::open(&place, server.environment(server.worker())).unwrap();
    let digest = blobs.put(b"model").unwrap();
    server.kill();
    let gone = blobs.get(&digest);
    assert!(matches!(gone, Err(BlobError::Store(_))), "{gone:?}");
}

#[test]
fn plain_http_is_refused_unless_it_is_allowed() {
    let told = refused("http", |settings| {
        settings.remove("AWS_ALLOW_HTTP");
    });
    names(&told, &["AWS_ALLOW_HTTP=true"]);
}

#[test]
fn without_a_key_on_a_machine_without_a_role_the_key_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let mut settings = settings();
    settings.retain(|name, _| !name.contains("KEY"));
    let nobody = format!("http://{}", free.unwrap());
    settings.insert("AWS_METADATA_ENDPOINT".into(), nobody);
    let blobs = S3Blobs::open(&place("role"), settings).unwrap();
    let told = blobs.check().unwrap_err().to_string();
    names(&told, &["role/probe was not written", "AWS_ACCESS_KEY_ID"]);
}

/// In a process of its own: which authorities are trusted is said by its environment.
#[test]
fn tls_is_spoken_with_a_store_whose_authority_is_trusted_and_with_no_other() {
    if let Some(place) = std::env::var_os("MAINSTEM_TEST_PLACE") {
        let settings = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        let blobs = S3Blobs::open(place.to_str().unwrap(), settings).unwrap();
        println!(
            "said: {:?}",
            blobs.check().map_err(|error| error.to_string())
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let server = S3::secured(dir.path()).unwrap();
    let say = |authority: &str| {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("tls_is_spoken_with_a_store_whose_authority_is_trusted_and_with_no_other")
            .env(
                "MAINSTEM_TEST_PLACE",
                format!("s3://{}/tls", server.bucket()),
            )
            .env("SSL_CERT_FILE", authority)
            .envs(server.environment(server.worker()))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let trusted = dir.path().join("authority.pem");
    names(&say(trusted.to_str().unwrap()), &["said: Ok(())"]);
    let other = dir.path().join("other.pem");
    S3::secured(dir.path()).map(drop).unwrap();
    std::fs::copy(&trusted, &other).unwrap();
    names(
        &say(other.to_str().unwrap()),
        &["tls/probe was not written", "SSL_CERT_FILE"],
    );
}

#[test]
fn half_of_a_key_is_told_at_once() {
    let mut settings = settings();
    settings.remove("AWS_SECRET_ACCESS_KEY");
    let told = S3Blobs::open(&place("half"), settings)
        .map(drop)
        .unwrap_err()
        .to_string();
    names(&told, &["AWS_SECRET_ACCESS_KEY"]);
}
