use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::{
    ApiError, Connection, Response, cookie, full, link_base, read, read_json, to_json, unauthorized,
};

async fn body(response: Response) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

#[tokio::test]
async fn error_bodies_have_the_form_of_the_peer() {
    let response = ApiError::invalid("NotUnique", "taken")
        .with_field("username")
        .into_response();
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        body(response).await,
        json!({"type":"error","baseType":"error","code":"NotUnique","status":422,"message":"taken","fieldName":"username"})
    );
    assert_eq!(
        body(unauthorized()).await,
        json!({"type":"error","status":"401","message":"Unauthorized 401: must authenticate"})
    );
}

#[test]
fn json_escapes_as_go_does_and_ends_in_a_newline() {
    assert_eq!(
        to_json(&json!({"u":"a?b=c&d=<e>"})).unwrap(),
        Bytes::from("{\"u\":\"a?b=c\\u0026d=\\u003ce\\u003e\"}\n")
    );
    assert_eq!(to_json(&json!([1])).unwrap(), Bytes::from("[1]\n"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let none = HeaderMap::new();
    let silent = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let refused = read(&none, silent, 5).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::REQUEST_TIMEOUT);
    let drop_by_drop = |n_drops: u32| {
        StreamBody::new(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let frame = Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"1")));
            (sent < n_drops).then_some((frame, sent + 1))
        }))
    };
    assert_eq!(read(&none, drop_by_drop(3), 99).await.unwrap(), "111");
    let refused = read(&none, drop_by_drop(90), 99).await.unwrap_err();
    assert_eq!(refused.status, StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_announced_or_not() {
    let none = HeaderMap::new();
    assert_eq!(read(&none, full("12345"), 5).await.unwrap(), "12345");
    assert_eq!(
        read(&none, full("123456"), 5).await.unwrap_err().status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let mut announced = HeaderMap::new();
    announced.insert(
        "content-length",
        HeaderValue::from_static("99999999999999999999"),
    );
    assert!(
        read(&announced, full("1"), 5).await.is_ok(),
        "a length that is no number is left to the HTTP layer"
    );
    announced.insert("content-length", HeaderValue::from_static("6"));
    assert_eq!(
        read(&announced, full("1"), 5).await.unwrap_err().status,
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn malformed_json_is_named_without_quoting_it() {
    let error = read_json::<Value>(&HeaderMap::new(), full("{\"password\": hunter2}"), 100)
        .await
        .unwrap_err();
    assert_eq!(
        (error.status.as_u16(), error.code.as_ref()),
        (422, "InvalidBodyContent")
    );
    assert!(!error.message.contains("hunter2"));
    assert_eq!(
        read_json::<Value>(&HeaderMap::new(), full(""), 100)
            .await
            .unwrap(),
        json!({})
    );
}

#[test]
fn cookies_are_found_among_others() {
    let mut headers = HeaderMap::new();
    headers.append(
        "cookie",
        HeaderValue::from_static("a=b; R_SESS=token-x:key; CSRF=1"),
    );
    headers.append("cookie", HeaderValue::from_static("R_SESS=second"));
    assert_eq!(cookie::get(&headers, cookie::SESSION), Some("token-x:key"));
    assert_eq!(cookie::get(&headers, "R_SES"), None);
}

#[test]
fn errors_before_the_apis_are_the_peers_structure() {
    let error = ApiError::permission_denied("not from there").with_field("x");
    // Recorded in http/03 and 04, keys sorted.
    assert_eq!(
        error.structure(),
        serde_json::json!({
            "Cause": null, "Code": {"Code": "PermissionDenied", "Status": 403}, "FieldName": "x",
            "Message": "not from there",
        })
    );
    assert_eq!(error.into_structure().status(), 403);
}

#[test]
fn links_start_where_the_caller_reached_us() {
    let base = |headers: &[(&'static str, &'static str)], tls: bool| {
        let mut request = http::Request::builder().uri("/v3");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Connection {
            remote: ([127, 0, 0, 1], 1).into(),
            tls,
        });
        link_base(&parts)
    };
    assert_eq!(base(&[("host", "a:8443")], true), "https://a:8443");
    assert_eq!(base(&[("host", "a:8443")], false), "http://a:8443");
    assert_eq!(
        base(
            &[
                ("host", "a"),
                ("x-api-host", "h:8443"),
                ("x-forwarded-proto", "http")
            ],
            true
        ),
        "http://h:8443"
    );
    assert_eq!(
        base(
            &[
                ("host", "a"),
                ("x-forwarded-host", "b, c"),
                ("x-forwarded-proto", "wss")
            ],
            false
        ),
        "https://b"
    );
    assert_eq!(
        base(&[("host", "a"), ("x-api-url-prefix", "/p/")], true),
        "https://a/p"
    );
    assert_eq!(
        base(
            &[("host", "a"), ("x-forwarded-host", "[fd00::1]:8443")],
            true
        ),
        "https://[fd00::1]:8443"
    );
    for (name, value) in [
        ("x-api-host", "evil/../x"),
        ("x-forwarded-host", "a\"><script>"),
        ("x-forwarded-host", "me@evil.example"),
        (
            "x-forwarded-host",
            std::str::from_utf8(&[b'a'; 260]).unwrap(),
        ),
        ("x-api-url-prefix", "//evil.example"),
        ("x-api-url-prefix", "/a//b"),
        ("x-api-url-prefix", ".evil.example"),
        ("x-api-url-prefix", "/a?b"),
    ] {
        let found = base(&[("host", "a"), (name, value)], true);
        assert_eq!(found, "https://a", "{name}: {value}");
    }
}
