//! Lists of a kind.
//!
//! The first page is a Table with the objects in it, and many kinds have no more. What follows it comes in two answers of
//! the same place: the objects as a plain list, and a Table without objects for their cells. The two together take an API
//! server less than half of what a Table with objects takes, which is written twice there. Objects are read while those
//! after them are still written.

use std::pin::pin;
use std::sync::Arc;

use drover_auth::web::ApiError;
use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::mpsc;

use super::Entry;
use super::split::{Batch, Split};
use super::table::{Cells, Metadata, Rows, item, place as place_after, read};
use crate::kind::Kind;
use crate::kubernetes::{JSON, TABLE, broken_off, get_text, no_json, pieces};

/// Objects of a first page, for whose end all that follows has to wait.
const FIRST: usize = 100;
/// Objects of a later page whose cells do not fit its objects.
const WHOLE: usize = 500;
/// Bytes that a later page is to have at most, if its objects are like those of the first: few pages take an API server
/// less than many, but one that is older than 1.33 writes a page whole before it sends it.
const PAGE_BYTES: usize = 64 << 20;
/// Batches of objects that wait to be read.
const WAITING: usize = 64;
/// Batches that are read at once.
const AT_ONCE: usize = 2;
/// How often a list begins anew that takes longer than the cluster keeps its place.
const TRIES: usize = 5;

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
    let mut tries = 1;
    loop {
        match once(client, kind, now, most).await {
            Err(error) if error.status == StatusCode::GONE && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

async fn once(
    client: &Client,
    kind: &Kind,
    now: Timestamp,
    most: usize,
) -> Result<Option<Rows>, ApiError> {
    let (text, place) = table(client, kind, String::new(), FIRST).await?;
    let limit = (PAGE_BYTES / (text.len() / FIRST).max(1)).max(WHOLE);
    let at = At { place, limit };
    // What follows comes while the first page is read.
    let (mut rows, rest) = tokio::try_join!(
        read_table(kind, text, now),
        rest(client, kind, at, now, most)
    )?;
    Ok(rest.and_then(|(rest, left)| {
        (rows.size() <= left).then(|| {
            rows.append(rest);
            rows
        })
    }))
}

/// The pages from a place on, and how many of `most` bytes they leave; `None` when they have more.
async fn rest(
    client: &Client,
    kind: &Kind,
    mut at: At,
    now: Timestamp,
    most: usize,
) -> Result<Option<(Rows, usize)>, ApiError> {
    let mut left = most;
    let mut rows = Rows::default();
    while !at.place.is_empty() {
        let (page, next) = match apart(client, kind, &at, now, left).await? {
            Some(page) => page,
            None => whole(client, kind, at.place, now).await?,
        };
        let Some(after) = left.checked_sub(page.size()) else {
            return Ok(None);
        };
        left = after;
        rows.append(page);
        at.place = next;
    }
    Ok(Some((rows, left)))
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

/// A page as a Table with its objects, and where the list goes on.
async fn table(
    client: &Client,
    kind: &Kind,
    place: String,
    limit: usize,
) -> Result<(String, String), ApiError> {
    let at = At { place, limit };
    let text = get_text(client, &at.url(kind, "Object"), TABLE).await?;
    let next = place_after(&text).map_err(no_json)?;
    Ok((text, next))
}

async fn read_table(kind: &Kind, text: String, now: Timestamp) -> Result<Rows, ApiError> {
    let kind = kind.clone();
    off_task(move || read(&kind, &text, &[], now).map_err(no_json)).await
}

/// [`table`], read: of a server whose two answers do not fit.
async fn whole(
    client: &Client,
    kind: &Kind,
    place: String,
    now: Timestamp,
) -> Result<(Rows, String), ApiError> {
    tracing::debug!(
        kind = kind.kind,
        "the cells of a list do not fit its objects"
    );
    let (text, next) = table(client, kind, place, WHOLE).await?;
    Ok((read_table(kind, text, now).await?, next))
}

/// A page in two answers, and where the list goes on; `None` if the two do not fit together, or there are more bytes in them
/// than `most`.
async fn apart(
    client: &Client,
    kind: &Kind,
    at: &At,
    now: Timestamp,
    most: usize,
) -> Result<Option<(Rows, String)>, ApiError> {
    let (sender, batches) = mpsc::channel(WAITING);
    let (list, rows) = tokio::try_join!(
        objects(client, at.url(kind, "Object"), sender),
        rows(client, kind, at.url(kind, "None"), batches, now, most)
    )?;
    Ok(list.zip(rows).and_then(|(list, rows)| {
        (list.revision() == rows.revision).then(|| (rows, list.place().to_owned()))
    }))
}

/// Hands on the objects of a list as they arrive; `None` if nobody takes them any more.
async fn objects(
    client: &Client,
    url: String,
    batches: mpsc::Sender<Batch>,
) -> Result<Option<Metadata>, ApiError> {
    let mut pieces = pieces(client, &url, JSON).await?;
    let mut split = Split::default();
    while let Some(piece) = pieces.try_next().await.map_err(broken_off)? {
        split.push(&piece);
        if split.is_too_large() {
            return Err(no_json("something in it is larger than any object"));
        }
        if let Some(batch) = split.full()
            && batches.send(batch).await.is_err()
        {
            return Ok(None);
        }
    }
    let (list, last) = split.end().map_err(no_json)?;
    Ok(batches.send(last).await.is_ok().then_some(list))
}

/// Reads objects with the cells that a Table has of them; `None` if it has not one row for each, or there are more bytes in
/// them than `most`: whoever does not heed the size of a page may never come to its end.
async fn rows(
    client: &Client,
    kind: &Kind,
    url: String,
    batches: mpsc::Receiver<Batch>,
    now: Timestamp,
    most: usize,
) -> Result<Option<Rows>, ApiError> {
    let text = get_text(client, &url, TABLE).await?;
    let Some(table) = off_task(move || Cells::read(&text).map_err(no_json)).await? else {
        return Ok(None);
    };
    let mut cells = table.rows;
    let columns: Arc<[_]> = table.columns.as_slice().into();
    let n_rows = cells.len();
    let batches = stream::unfold(batches, |mut batches| async {
        Some((batches.recv().await?, batches))
    });
    let read = batches.map(|batch| {
        let cells: Vec<_> = cells.by_ref().take(batch.len()).collect();
        let (kind, columns) = (kind.clone(), Arc::clone(&columns));
        off_task(move || {
            let n_items = batch.len();
            let objects = batch.items().map_err(no_json)?.zip(cells);
            let entries: Result<Vec<_>, _> = objects
                .filter_map(|(text, row)| item(&kind, text, (&columns, row), now).transpose())
                .collect();
            Ok((n_items, entries.map_err(no_json)?))
        })
    });
    let mut read = pin!(read.buffered(AT_ONCE));
    let (mut n_items, mut size) = (0, 0);
    let mut rows = Rows {
        columns: table.columns,
        entries: Vec::with_capacity(n_rows),
        revision: table.revision,
    };
    while let Some((n_more, mut entries)) = read.try_next().await? {
        n_items += n_more;
        size += entries.iter().map(Entry::size).sum::<usize>();
        if size > most {
            return Ok(None);
        }
        rows.entries.append(&mut entries);
    }
    Ok((n_items == n_rows).then_some(rows))
}

/// Reads what takes milliseconds, in which others are served.
async fn off_task<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| ApiError::server_error("a list could not be read"))?
}
