//! Lists of a kind, page by page.
//!
//! The first page is a Table with the objects in it. What follows it comes in two answers of the same place: the objects
//! as a plain list, and a Table without objects for their cells. The two together take an API server less than half of
//! what a Table with objects takes, which is written twice there; and few pages take it less than many.

use drover_auth::web::ApiError;
use http::StatusCode;
use jiff::Timestamp;
use kube::Client;

use super::Entry;
use super::table::{Rows, place, read, read_apart};
use crate::cells::Column;
use crate::kind::Kind;
use crate::kubernetes::{JSON, TABLE, get_text, no_json};

/// Objects of a first page.
const FIRST: usize = 500;
/// Objects of a later page at most: reading the last one is what its reader waits for in the end.
const MOST: usize = 2_000;
/// Bytes that a later page is to have at most, if its objects are like those of the first.
const PAGE_BYTES: usize = 16 << 20;

/// A page as it was answered.
enum Page {
    /// A Table with the objects in it.
    Whole(String),
    /// A list, and a Table with its cells.
    Apart { objects: String, cells: String },
}

impl Page {
    fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Apart { objects: text, .. } => text,
        }
    }
}

/// Lists a kind. Stops with `None` when there are more bytes than `most`.
///
/// # Errors
/// The cluster's refusal.
pub(crate) async fn list(
    client: &Client,
    kind: &Kind,
    now: Timestamp,
    most: usize,
) -> Result<Option<Rows>, ApiError> {
    'again: loop {
        let mut listed = Rows::default();
        let mut bytes = 0;
        let mut at = At {
            place: String::new(),
            limit: FIRST,
        };
        let mut next = Some(whole(client, kind, &at).await?);
        while let Some(page) = next {
            let following = At {
                place: place(page.text()).map_err(no_json)?,
                limit: (PAGE_BYTES / (page.text().len() / at.limit).max(1)).clamp(FIRST, MOST),
            };
            // The next page comes while this one is read.
            let (read, page) = tokio::join!(
                rows(client, kind, (page, &at), &listed.columns, now),
                async {
                    if following.place.is_empty() {
                        return Ok(None);
                    }
                    apart(client, kind, &following).await.map(Some)
                }
            );
            // The list took longer than the cluster keeps its place.
            let is_gone = |error: &ApiError| error.status == StatusCode::GONE;
            let (mut read, page) = match (read, page) {
                (Err(error), _) | (_, Err(error)) if is_gone(&error) => continue 'again,
                (read, page) => (read?, page?),
            };
            bytes += read.entries.iter().map(Entry::size).sum::<usize>();
            if bytes > most {
                return Ok(None);
            }
            if !read.columns.is_empty() {
                listed.columns = read.columns;
            }
            listed.entries.append(&mut read.entries);
            listed.revision = read.revision;
            next = page;
            at = following;
        }
        return Ok(Some(listed));
    }
}

/// Which page of a list.
struct At {
    /// As the page before it said; empty for the first.
    place: String,
    /// Objects at most.
    limit: usize,
}

impl At {
    fn url(&self, kind: &Kind, include: &str) -> String {
        let path = kind.path(None, None);
        let mut url = format!("{path}?includeObject={include}&limit={}", self.limit);
        if !self.place.is_empty() {
            url.push_str("&continue=");
            url.extend(form_urlencoded::byte_serialize(self.place.as_bytes()));
        }
        url
    }
}

async fn whole(client: &Client, kind: &Kind, at: &At) -> Result<Page, ApiError> {
    let text = get_text(client, &at.url(kind, "Object"), TABLE).await?;
    Ok(Page::Whole(text))
}

async fn apart(client: &Client, kind: &Kind, at: &At) -> Result<Page, ApiError> {
    let (objects, cells) = (at.url(kind, "Object"), at.url(kind, "None"));
    let (objects, cells) = tokio::try_join!(
        get_text(client, &objects, JSON),
        get_text(client, &cells, TABLE)
    )?;
    Ok(Page::Apart { objects, cells })
}

/// Reads a page; it takes milliseconds, in which others are served.
async fn rows(
    client: &Client,
    kind: &Kind,
    (page, at): (Page, &At),
    known: &[Column],
    now: Timestamp,
) -> Result<Rows, ApiError> {
    let (of, known) = (kind.clone(), known.to_vec());
    let read_page = move |page: Page| match page {
        Page::Whole(text) => read(&of, &text, &known, now).map(Some),
        Page::Apart { objects, cells } => read_apart(&of, &objects, &cells, &known, now),
    };
    let again = read_page.clone();
    if let Some(rows) = off_task(move || read_page(page)).await? {
        return Ok(rows);
    }
    // A server whose two answers do not fit is asked for both in one.
    tracing::debug!(
        kind = kind.kind,
        "the cells of a list do not fit its objects"
    );
    let page = whole(client, kind, at).await?;
    Ok(off_task(move || again(page)).await?.unwrap_or_default())
}

async fn off_task<T: Send + 'static>(
    read: impl FnOnce() -> serde_json::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| ApiError::server_error("a list could not be read"))?
        .map_err(no_json)
}
