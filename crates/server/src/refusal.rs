//! Answers that are no Kubernetes ones, in a form that a client of Kubernetes APIs understands.
//!
//! The server itself asks clusters as the user by such a client. What the proxy answers in their stead (the cluster is
//! away, the user may not enter) has the peer's forms, and what a cluster answers may be anything; read as a `Status`
//! both would be an error without a text.

use drover_auth::web::{self, Response};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

/// Longest refusal that is read, in bytes.
const LONGEST: usize = 1 << 20;
/// Longest text that is passed on, in characters.
const LONGEST_TEXT: usize = 1_000;

/// The same answer; if it is a refusal, then as a `Status`.
pub(crate) async fn as_status(answer: Response) -> Response {
    let code = answer.status();
    if code.is_success() || code.is_informational() {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(bytes) = web::read(&HeaderMap::new(), body, LONGEST).await else {
        return refused(parts, StatusCode::BAD_GATEWAY, "the answer breaks off");
    };
    let said: Option<Value> = serde_json::from_slice(&bytes).ok();
    if said.as_ref().is_some_and(|said| said["kind"] == "Status") {
        return Response::from_parts(parts, web::full(bytes));
    }
    // It would be followed elsewhere or mean nothing.
    if code.is_redirection() {
        parts.status = StatusCode::BAD_GATEWAY;
        return refused(
            parts,
            StatusCode::BAD_GATEWAY,
            &format!("the cluster answers {code}"),
        );
    }
    let structure = said.as_ref().and_then(|said| {
        let text = said["Message"].as_str()?;
        Some((said["Code"]["Code"].as_str()?, text))
    });
    match structure {
        Some((reason, text)) => status(parts, code, reason, text),
        None => {
            let text: String = String::from_utf8_lossy(&bytes)
                .trim()
                .chars()
                .take(LONGEST_TEXT)
                .collect();
            let text = if text.is_empty() {
                code.to_string()
            } else {
                text
            };
            refused(parts, code, &text)
        }
    }
}

fn refused(parts: http::response::Parts, code: StatusCode, text: &str) -> Response {
    let reason = match code {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        _ if code.is_server_error() => "ClusterUnavailable",
        _ => "ServerError",
    };
    status(parts, code, reason, text)
}

fn status(
    mut parts: http::response::Parts,
    code: StatusCode,
    reason: &str,
    text: &str,
) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": text,
    });
    parts.status = code;
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, web::full(body.to_string()))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn told(code: u16, body: &str) -> (u16, String, String) {
        let mut answer = web::text(StatusCode::from_u16(code).unwrap(), body.to_owned());
        answer
            .headers_mut()
            .insert(CONTENT_LENGTH, body.len().into());
        let answer = as_status(answer).await;
        let code = answer.status().as_u16();
        let length = answer.headers().get(CONTENT_LENGTH).cloned();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(length.is_none_or(|length| length == body.len().to_string()));
        let Ok(told) = serde_json::from_slice::<Value>(&body) else {
            return (
                code,
                String::new(),
                String::from_utf8(body.to_vec()).unwrap(),
            );
        };
        assert!(told["code"] == code, "{told}");
        let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
        (code, text("reason"), text("message"))
    }

    #[tokio::test]
    async fn refusals_keep_their_code_and_text() {
        let check = async |code: u16, body: &str, expected: (u16, &str, &str)| {
            let (code, reason, text) = told(code, body).await;
            assert_eq!((code, reason.as_str(), text.as_str()), expected, "{body}");
        };
        let away = r#"{"Cause":null,"Code":{"Code":"ClusterUnavailable","Status":503},"FieldName":"","Message":"cluster not provisioned"}"#;
        check(
            503,
            away,
            (503, "ClusterUnavailable", "cluster not provisioned"),
        )
        .await;
        let theirs = r#"{"kind":"Status","code":409,"reason":"Conflict","message":"m"}"#;
        check(409, theirs, (409, "Conflict", "m")).await;
        check(
            500,
            "TLS failed\n",
            (500, "ClusterUnavailable", "TLS failed"),
        )
        .await;
        check(403, "{}", (403, "Forbidden", "{}")).await;
        check(404, "", (404, "NotFound", "404 Not Found")).await;
        check(
            302,
            "",
            (502, "ClusterUnavailable", "the cluster answers 302 Found"),
        )
        .await;
        check(200, "fine", (200, "", "fine")).await;
        let page = "<p>".repeat(5_000);
        assert_eq!(told(502, &page).await.2.len(), LONGEST_TEXT);
    }
}
