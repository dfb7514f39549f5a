use super::*;
use crate::backend::tests::memory;
use clap::Parser as _;
use secrecy::ExposeSecret as _;

fn lease(version: &str) -> Lease {
    Lease {
        metadata: ObjectMeta {
            name: Some("drover-replica-a".to_owned()),
            resource_version: Some(version.to_owned()),
            annotations: Some([(ADDRESS.to_owned(), "10.0.0.1:8443".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some("a".to_owned()),
            ..LeaseSpec::default()
        }),
    }
}

#[test]
fn a_lease_ages_until_it_changes() {
    let mut seen = HashMap::new();
    let start = Instant::now();
    let later = start + Duration::from_secs(30);
    assert_eq!(age(&mut seen, &lease("1"), start), Duration::ZERO);
    assert_eq!(
        age(&mut seen, &lease("1"), later),
        Duration::from_secs(30),
        "not renewed"
    );
    assert_eq!(
        age(&mut seen, &lease("2"), later),
        Duration::ZERO,
        "renewed"
    );
}

#[test]
fn a_lease_without_an_address_is_no_replica() {
    let found = other(&lease("1")).map(|other| other.address);
    assert_eq!(found.as_deref(), Some("10.0.0.1:8443"));
    let mut silent = lease("1");
    silent.metadata.annotations = None;
    assert_eq!(other(&silent), None);
}

#[tokio::test]
async fn all_replicas_get_the_first_ones_token() {
    let client = memory().await;
    let entropy = Entropy::system();
    let (first, second) = tokio::join!(token(&client, &entropy), token(&client, &entropy));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.expose_secret(), second.expose_secret());
    assert_eq!(first.expose_secret().len(), 64);
}

#[derive(clap::Parser)]
struct Flags {
    #[command(flatten)]
    args: ServerArgs,
}

#[tokio::test]
async fn the_address_is_the_given_one_or_that_on_the_way_to_the_api() {
    let check = async |flags: &[&str], expected: Result<&str, &str>| {
        let flags = std::iter::once("drover").chain(flags.iter().copied());
        let args = Flags::parse_from(flags).args;
        let found = address(&args, &("127.0.0.1".to_owned(), 443), 8443).await;
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (found, _) => panic!("{found:?}"),
        }
    };
    check(&["--replica-address", "pod-1:443"], Ok("pod-1:443")).await;
    check(&["--replica-address", "[::1]:443"], Ok("[::1]:443")).await;
    check(&["--listen-address", "10.1.2.3"], Ok("10.1.2.3:8443")).await;
    check(&["--listen-address", "fd00::1"], Ok("[fd00::1]:8443")).await;
    check(&[], Ok("127.0.0.1:8443")).await;
    for wrong in ["pod-1", "https://pod-1:443", "a@pod-1:443", ""] {
        check(&["--replica-address", wrong], Err("HOST:PORT")).await;
    }
}
