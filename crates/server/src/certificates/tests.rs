use super::x509::common_name;
use super::*;

const NOW: i64 = 1_795_000_000;

async fn memory() -> (Client, Clock) {
    (
        crate::backend::tests::memory().await,
        Clock::manual(Timestamp::from_second(NOW).unwrap()),
    )
}

fn names(certificates: &Certificates) -> Vec<String> {
    let own = certificates.0.own().unwrap();
    let pem = own.state.lock().pem.clone();
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    let names = certificate
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names
        .iter();
    names.map(ToString::to_string).collect()
}

fn trusted(certificates: &Certificates) -> String {
    certificates.trusted().borrow().clone()
}

#[test]
fn only_names_and_addresses_get_into_a_certificate() {
    let check = |name: &str, expected: Option<&str>| {
        assert_eq!(acceptable(name).as_deref(), expected, "{name}")
    };
    check("Rancher.Example.TEST", Some("rancher.example.test"));
    check("10.0.0.1", Some("10.0.0.1"));
    check("[::1]", Some("::1"));
    check("::ffff:10.0.0.1", Some("10.0.0.1"));
    check("0.0.0.0", None);
    check("", None);
    check("a..b", None);
    check("*.example.test", None);
    check("-a.test", None);
    check("a_b.test", None);
    check(&"a".repeat(64), None);
}

#[tokio::test]
async fn a_second_start_serves_the_same_authority_and_names() {
    let (client, clock) = memory().await;
    let first = Certificates::own(client.clone(), clock.clone(), &["one.test".to_owned()])
        .await
        .unwrap();
    first.add("two.test", None);
    first.0.own().unwrap().save().await.unwrap();
    let second = Certificates::own(client, clock, &["one.test".to_owned()])
        .await
        .unwrap();
    assert_eq!(trusted(&first), trusted(&second));
    assert_eq!(names(&first), names(&second));
    assert_eq!(names(&second).len(), 2);
}

#[tokio::test]
async fn a_certificate_near_its_end_is_renewed_and_one_far_from_it_is_not() {
    let (client, clock) = memory().await;
    let certificates = Certificates::own(client, clock.clone(), &["one.test".to_owned()])
        .await
        .unwrap();
    let own = certificates.0.own().unwrap();
    let first = own.state.lock().clone();
    clock.advance(SERVING_LIFE / 2);
    certificates.renew(own);
    assert_eq!(*own.state.lock(), first);
    clock.advance(SERVING_LIFE / 2 - RENEW_BEFORE);
    certificates.renew(own);
    assert!(own.state.lock().ends > first.ends);
}

#[tokio::test]
async fn an_authority_near_its_end_is_renewed_under_its_name_and_key() {
    let (client, clock) = memory().await;
    let first = Certificates::own(client.clone(), clock.clone(), &[])
        .await
        .unwrap();
    clock.advance(AUTHORITY_LIFE - AUTHORITY_LIFE / 20);
    let second = Certificates::own(client, clock, &[]).await.unwrap();
    assert_ne!(trusted(&first), trusted(&second));
    assert_eq!(
        common_name(&trusted(&first)),
        common_name(&trusted(&second))
    );
    let leaf = second.0.own().unwrap().state.lock().pem.clone();
    let old = CertificateDer::from_pem_slice(trusted(&first).as_bytes()).unwrap();
    assert!(
        signed_by(&leaf, &old),
        "those who trust the old certificate of the authority accept the new leaf"
    );
}

#[tokio::test]
async fn an_authority_near_its_end_is_renewed_while_the_server_runs() {
    let (client, clock) = memory().await;
    let certificates = Certificates::own(client.clone(), clock.clone(), &["one.test".to_owned()])
        .await
        .unwrap();
    let own = certificates.0.own().unwrap();
    let other = Certificates::own(client, clock.clone(), &[]).await.unwrap();
    let (mut changes, first) = (certificates.trusted(), trusted(&certificates));
    certificates.follow_authority(own).await.unwrap();
    assert!(!changes.has_changed().unwrap());
    clock.advance(AUTHORITY_LIFE - AUTHORITY_LIFE / 20);
    certificates.follow_authority(own).await.unwrap();
    assert!(changes.has_changed().unwrap());
    let second = changes.borrow_and_update().clone();
    assert_ne!(first, second);
    for pem in [&first, &second] {
        let authority = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert!(signed_by(&own.state.lock().pem, &authority));
    }
    let served = certificates.0.current.load().cert.clone();
    let authority = CertificateDer::from_pem_slice(second.as_bytes()).unwrap();
    assert_eq!(served[1], authority);
    // Another replica takes what this one made.
    let of_other = other.0.own().unwrap();
    other.follow_authority(of_other).await.unwrap();
    assert_eq!(trusted(&other), second);
}

#[tokio::test]
async fn who_asks_for_junk_does_not_keep_others_out() {
    let (client, clock) = memory().await;
    let certificates = Certificates::own(client, clock, &["one.test".to_owned()])
        .await
        .unwrap();
    let junk = Some(IpAddr::from([192, 0, 2, 1]));
    for number in 0..200 {
        certificates.add(&format!("n{number}.test"), junk);
    }
    let limit = names::MOST_OF_ONE + 1;
    assert_eq!(names(&certificates).len(), limit);
    certificates.add("hub.test", Some(IpAddr::from([192, 0, 2, 2])));
    let shown = names(&certificates);
    assert_eq!(shown.len(), limit + 1);
    for name in ["hub.test", "one.test", "n199.test"] {
        assert!(shown.iter().any(|other| other.contains(name)), "{shown:?}");
    }
}
