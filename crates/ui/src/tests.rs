use super::*;

fn get(path: &str, headers: &[(HeaderName, &str)]) -> Response<Bytes> {
    let headers = headers
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
        .collect();
    answer(&Method::GET, path, &headers, "n0nce")
}

fn header(response: &Response<Bytes>, name: HeaderName) -> &str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_path_of_the_ui_is_its_page_with_a_policy_and_this_nonce() {
    for path in [
        "/dashboard/",
        "/dashboard/c/local/r/pods/a/b.c",
        "/dashboard/index.html",
    ] {
        let response = get(path, &[]);
        let expected = if is_built() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        assert_eq!(response.status(), expected, "{path}");
        assert_eq!(header(&response, CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(header(&response, CACHE_CONTROL), "no-store");
        let policy = header(&response, CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none';") && policy.contains("'nonce-n0nce'"));
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!String::from_utf8_lossy(response.body()).contains(NONCE));
    }
}

#[test]
fn a_page_of_another_build_is_told_that_its_file_is_gone() {
    let response = get("/dashboard/assets/index-0ld.js", &[]);
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[test]
fn files_with_a_hash_are_kept_forever_and_compressed() {
    // Without a built UI there is nothing to serve; the browser tests run with one.
    let Some((name, plain)) = FILES
        .iter()
        .find(|(name, _)| name.starts_with(HASHED) && find(&format!("{name}.br")).is_some())
    else {
        assert!(!is_built());
        return;
    };
    let path = format!("{ROOT}{name}");
    let response = get(&path, &[]);
    assert_eq!(response.body().as_ref(), *plain);
    assert_eq!(header(&response, CACHE_CONTROL), FOREVER);
    let compressed = get(&path, &[(ACCEPT_ENCODING, "gzip, br")]);
    assert_eq!(header(&compressed, CONTENT_ENCODING), "br");
    assert_eq!(header(&compressed, VARY), "accept-encoding");
    assert!(compressed.body().len() < plain.len());
    let tag = header(&compressed, ETAG).to_owned();
    assert_ne!(tag, header(&response, ETAG), "a form has its own tag");
    let again = get(&path, &[(ACCEPT_ENCODING, "br"), (IF_NONE_MATCH, &tag)]);
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.body().is_empty());
}

#[test]
fn nothing_is_written_here() {
    let response = answer(&Method::POST, ROOT, &HeaderMap::new(), "n");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
