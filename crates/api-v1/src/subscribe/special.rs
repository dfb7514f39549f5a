//! Watches of what no cluster stores: counts and schemas.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::{Instant, MissedTickBehavior};

use super::{End, Gone, Outgoing, Topic};
use crate::call::{Answer, Call};
use crate::{counts, schemas as documents};

/// How often they are looked at; a change of the index counts at once.
const PERIOD: Duration = Duration::from_secs(5);

/// Wakes after the period, or when the index of role bindings changes.
async fn wait(ticks: &mut tokio::time::Interval, index: &mut tokio::sync::watch::Receiver<u64>) {
    tokio::select! {
        _ = ticks.tick() => {}
        _ = index.changed() => {}
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + PERIOD, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Tells of counts that change, only those.
pub(super) async fn counts(call: &Call, topic: &Topic, outgoing: &Outgoing) -> Result<End, Gone> {
    let mut index = call.shared.guard.access().changes();
    let mut known = match counts::of(call).await {
        Ok(counts) => counts,
        Err(refused) => return Ok(refused.into()),
    };
    outgoing.send(topic.frame("resource.start")).await?;
    let mut ticks = ticks();
    loop {
        wait(&mut ticks, &mut index).await;
        let now = match counts::of(call).await {
            Ok(counts) => counts,
            Err(refused) => return Ok(refused.into()),
        };
        let changed = counts::changed(&known, &now);
        known = now;
        if !changed.is_empty() {
            let mut frame = topic.frame("resource.change");
            frame.insert("data".to_owned(), counts::item(call, &changed));
            outgoing.send(frame).await?;
        }
    }
}

async fn schemas_by_id(call: &Call) -> Answer<Map<String, Value>> {
    let rights = call.rights().await?;
    let all = documents::all(call, &rights).await?;
    Ok(all
        .into_iter()
        .filter_map(|schema| {
            let id = schema.get("id")?.as_str()?.to_owned();
            Some((id, Value::Object(schema)))
        })
        .collect())
}

/// Tells of types that come, change and go, for the caller.
pub(super) async fn schemas(call: &Call, topic: &Topic, outgoing: &Outgoing) -> Result<End, Gone> {
    let mut index = call.shared.guard.access().changes();
    let mut known = match schemas_by_id(call).await {
        Ok(schemas) => schemas,
        Err(refused) => return Ok(refused.into()),
    };
    outgoing.send(topic.frame("resource.start")).await?;
    let mut ticks = ticks();
    loop {
        wait(&mut ticks, &mut index).await;
        let now = match schemas_by_id(call).await {
            Ok(schemas) => schemas,
            Err(refused) => return Ok(refused.into()),
        };
        for (name, data) in differences(&known, &now) {
            let mut frame = topic.frame(name);
            frame.insert("data".to_owned(), data);
            outgoing.send(frame).await?;
        }
        known = now;
    }
}

fn differences(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    for (id, schema) in after {
        match before.get(id) {
            None => found.push(("resource.create", schema.clone())),
            Some(known) if known != schema => found.push(("resource.change", schema.clone())),
            Some(_) => {}
        }
    }
    for (id, schema) in before {
        if !after.contains_key(id) {
            found.push(("resource.remove", schema.clone()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_come_change_and_go() {
        let of = |value: Value| match value {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let before = of(json!({"a": 1, "b": 1, "c": 1}));
        let after = of(json!({"a": 1, "b": 2, "d": 1}));
        assert_eq!(
            differences(&before, &after),
            [
                ("resource.change", json!(2)),
                ("resource.create", json!(1)),
                ("resource.remove", json!(1))
            ]
        );
    }
}
