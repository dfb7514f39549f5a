//! When somebody leads, and stops.

use super::*;

fn held(by: &str) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(by.to_owned()),
        lease_duration_seconds: Some(15),
        lease_transitions: Some(3),
        ..LeaseSpec::default()
    };
    Lease {
        spec: Some(spec),
        ..Lease::default()
    }
}

#[test]
fn a_lease_of_another_is_taken_only_when_it_stood_still() {
    assert_eq!(
        step(Some(&held("b")), "a", Duration::from_secs(14)),
        Step::Wait
    );
    assert_eq!(
        step(Some(&held("b")), "a", Duration::from_secs(15)),
        Step::Take { transitions: 4 }
    );
}

#[test]
fn our_own_lease_is_renewed_at_once() {
    assert_eq!(step(Some(&held("a")), "a", Duration::ZERO), Step::Renew);
}

#[test]
fn a_lease_given_back_or_missing_is_free() {
    assert_eq!(
        step(Some(&held("")), "a", Duration::ZERO),
        Step::Take { transitions: 4 }
    );
    assert_eq!(step(None, "a", Duration::ZERO), Step::Create);
}

/// A store that takes one write and answers no other.
fn stuck() -> Client {
    let kept = std::sync::Arc::new(parking_lot::Mutex::new(None::<bytes::Bytes>));
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let kept = std::sync::Arc::clone(&kept);
        async move {
            let reads = request.method() == http::Method::GET;
            let sent = http_body_util::BodyExt::collect(request.into_body()).await;
            let known = kept.lock().clone();
            let (code, body) = match (reads, known) {
                (true, Some(lease)) => (200, lease),
                (true, None) => {
                    let none = serde_json::json!({
                        "kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "reason": "NotFound", "code": 404, "message": "none",
                    });
                    (404, none.to_string().into())
                }
                (false, None) => {
                    let lease = sent.unwrap().to_bytes();
                    *kept.lock() = Some(lease.clone());
                    (201, lease)
                }
                (false, Some(_)) => std::future::pending().await,
            };
            let answer = http::Response::builder().status(code);
            Ok::<_, std::convert::Infallible>(answer.body(http_body_util::Full::new(body)).unwrap())
        }
    });
    Client::new(service, "default")
}

/// For how long somebody leads over a store that is stuck, at most an hour.
async fn leads_for(rivals: Rivals) -> Duration {
    let (began, ended) = (
        tokio::sync::watch::Sender::new(None),
        tokio::sync::watch::Sender::new(None),
    );
    let shutdown = CancellationToken::new();
    let election = run(
        stuck(),
        "a",
        rivals,
        Clock::manual(jiff::Timestamp::UNIX_EPOCH),
        shutdown.clone(),
        |leading| {
            began.send_replace(Some(Instant::now()));
            let ended = &ended;
            async move {
                leading.cancelled().await;
                ended.send_replace(Some(Instant::now()));
            }
        },
    );
    let hour = tokio::time::timeout(Duration::from_hours(1), async {
        let _ = ended
            .subscribe()
            .wait_for(|ended: &Option<Instant>| ended.is_some())
            .await;
    });
    tokio::select! {
        () = election => {}
        _ = hour => {}
    }
    let end = ended.borrow().unwrap_or_else(Instant::now);
    end - began.borrow().expect("it led")
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_in_time_where_there_may_be_rivals_and_goes_on_where_there_are_none()
{
    let led = leads_for(Rivals::MayBe).await;
    assert!(led <= GIVE_UP && led >= RENEW, "{led:?}");
    let led = leads_for(Rivals::None).await;
    assert!(led >= Duration::from_secs(3599), "{led:?}");
}
