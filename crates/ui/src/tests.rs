use super::*;

fn get(path: &str, headers: &[(HeaderName, &str)]) -> Response<Bytes> {
    answer(&Method::GET, path, &self::headers(headers), "n0nce")
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

/// A script that was compressed, and what it was.
fn script(packed: &'static [u8]) -> File {
    File {
        path: "assets/index-0123.js",
        is_packed: true,
        bytes: packed,
    }
}

fn gzipped(plain: &[u8]) -> &'static [u8] {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap().leak()
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

#[test]
fn files_with_a_hash_are_kept_forever_and_sent_as_they_are_held() {
    let plain = b"let drover = 1;".repeat(100);
    let file = script(gzipped(&plain));
    let packed = asset(file, &headers(&[(ACCEPT_ENCODING, "gzip, deflate, br")]));
    assert_eq!(packed.body().as_ref(), file.bytes);
    assert_eq!(header(&packed, CONTENT_ENCODING), "gzip");
    assert_eq!(header(&packed, CACHE_CONTROL), FOREVER);
    assert_eq!(header(&packed, VARY), "accept-encoding");
    let tag = header(&packed, ETAG).to_owned();
    let again = asset(
        file,
        &headers(&[(ACCEPT_ENCODING, "gzip"), (IF_NONE_MATCH, &tag)]),
    );
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert!(again.body().is_empty());
}

#[test]
fn who_takes_no_gzip_gets_the_plain_file_under_a_tag_of_its_own() {
    let plain = b"let drover = 1;".repeat(100);
    let file = script(gzipped(&plain));
    for offer in ["br", "identity", "gzip;q=0"] {
        let response = asset(file, &headers(&[(ACCEPT_ENCODING, offer)]));
        assert_eq!(response.body().as_ref(), plain, "{offer}");
        assert_eq!(header(&response, CONTENT_ENCODING), "");
        assert_eq!(
            header(&response, CONTENT_TYPE),
            "text/javascript; charset=utf-8"
        );
        let packed = asset(file, &headers(&[(ACCEPT_ENCODING, "gzip")]));
        assert_ne!(header(&packed, ETAG), header(&response, ETAG));
    }
    let broken = asset(script(&file.bytes[..20]), &HeaderMap::new());
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn what_is_built_in_is_held_once() {
    // Without a built UI there is nothing to look at; the browser tests run with one.
    for file in FILES {
        let is_text = [".js", ".css"].iter().any(|end| file.path.ends_with(end));
        let plain = if file.is_packed {
            encoding::plain(file.bytes).unwrap()
        } else {
            assert!(!is_text || file.bytes.len() < 512, "{}", file.path);
            continue;
        };
        assert!(file.bytes.len() < plain.len(), "{}", file.path);
    }
    assert!(FILES.is_sorted_by_key(|file| file.path));
}

#[test]
fn nothing_is_written_here() {
    let response = answer(&Method::POST, ROOT, &HeaderMap::new(), "n");
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
