//! Rules in CEL as definitions bring them: whether they are refused, where, and what is said.
//!
//! Each rule of `rules/table.txt`, and many random ones, stands in a definition of its own, which both servers are asked
//! to make without keeping it.

mod random;

use drover_testkit::chance::Chance;
use futures::{StreamExt, stream};
use regex::Regex;
use serde_json::{Value, json};

use crate::servers::Pair;

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All";
/// Requests at once.
const AT_ONCE: usize = 8;
/// Random rules; `DROVER_RULES` asks for another number, `DROVER_RULES_SEED` for other ones.
const USUAL: usize = 500;

/// A rule, and where it stands.
#[derive(Clone, Debug)]
struct Case {
    /// As it stands in the table.
    line: String,
    place: String,
    rule: Value,
}

impl Case {
    fn read(line: &str) -> Self {
        let (place, expression) = line.split_once(" | ").expect("PLACE | RULE");
        let (how, place) = match place.split_once(' ') {
            Some((how @ ("optional" | "message"), place)) => (how, place),
            _ => ("", place),
        };
        let rule = match how {
            "optional" => json!({"rule": expression, "optionalOldSelf": true}),
            "message" => json!({"rule": "true", "messageExpression": expression}),
            _ => json!({"rule": expression}),
        };
        Self {
            line: line.to_owned(),
            place: place.to_owned(),
            rule,
        }
    }

    /// A definition with the rule.
    fn definition(&self, properties: &Value) -> Value {
        let mut spec = json!({"type": "object", "properties": properties});
        let mut root = json!({"type": "object"});
        let rules = json!([self.rule]);
        match self.place.as_str() {
            "root" => root["x-kubernetes-validations"] = rules,
            "spec" => spec["x-kubernetes-validations"] = rules,
            schema if schema.starts_with('{') => {
                let mut schema: Value = serde_saphyr::from_str(schema).unwrap();
                schema["x-kubernetes-validations"] = rules;
                spec["properties"] = json!({"x": schema});
            }
            property => spec["properties"][property]["x-kubernetes-validations"] = rules,
        }
        root["properties"] = json!({"spec": spec});
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "ruled.rules.example.com"},
            "spec": {
                "group": "rules.example.com", "scope": "Cluster",
                "names": {"plural": "ruled", "singular": "rule", "kind": "Rule", "listKind": "RuleList"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": root}}],
            },
        })
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(crate::folder().join("rules").join(name)).unwrap()
}

fn properties() -> Value {
    serde_saphyr::from_str(&read("schema.yaml")).unwrap()
}

/// The status, and each cause with its field, in no particular order.
fn answer(status: u16, body: &Value) -> (u16, Vec<(String, String)>) {
    // The real server gives the type of self a number that is never the same.
    let name = Regex::new("selfType[0-9]+").unwrap();
    let mut causes: Vec<_> = body["details"]["causes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|cause| {
            let text = |member: &str| cause[member].as_str().unwrap_or_default().to_owned();
            let message = name.replace_all(&text("message"), "selfType0").into_owned();
            (text("field"), message)
        })
        .collect();
    causes.sort();
    (status, causes)
}

/// What is wrong with the text itself is told in other words, by another parser; so is what other libraries say.
fn in_other_words(message: &str) -> bool {
    [
        "Syntax error",
        "program instantiation failed",
        "instantiation failed",
    ]
    .iter()
    .any(|words| message.contains(words))
}

impl Pair {
    /// Both answers to a definition.
    async fn answers(&self, definition: &Value) -> [(u16, Vec<(String, String)>); 2] {
        let request = || {
            http::Request::post(PATH)
                .header("content-type", "application/json")
                .body(definition.to_string().into_bytes())
                .unwrap()
        };
        let answers = self.both([request(), request()]).await;
        answers.map(|got| answer(got.status.as_u16(), &got.json().unwrap_or_default()))
    }
}

fn shown(answer: &(u16, Vec<(String, String)>)) -> String {
    let causes = answer
        .1
        .iter()
        .map(|(field, message)| format!("\n      {field}: {message}"));
    format!("{}{}", answer.0, causes.collect::<String>())
}

/// What differs, if the answers are not alike; `whole` compares fields and texts too.
fn differ(
    case: &Case,
    [real, ours]: &[(u16, Vec<(String, String)>); 2],
    whole: bool,
) -> Option<String> {
    let fields = |answer: &(u16, Vec<(String, String)>)| -> Vec<String> {
        answer.1.iter().map(|(field, _)| field.clone()).collect()
    };
    let alike = real.0 == ours.0
        && (!whole
            || real == ours
            || (fields(real) == fields(ours)
                && real
                    .1
                    .iter()
                    .zip(&ours.1)
                    .all(|(real, ours)| real == ours || in_other_words(&real.1))));
    (!alike).then(|| {
        format!(
            "{}\n    real: {}\n    ours: {}",
            case.line,
            shown(real),
            shown(ours)
        )
    })
}

/// What differs, and how many rules were let in.
async fn play(pair: &Pair, cases: &[Case], whole: bool) -> (Vec<String>, usize) {
    let properties = properties();
    let properties = &properties;
    let mut played = stream::iter(cases)
        .map(|case| async move {
            let answers = pair.answers(&case.definition(properties)).await;
            (differ(case, &answers, whole), answers[0].0 == 201)
        })
        .buffered(AT_ONCE);
    let (mut wrong, mut right) = (Vec::new(), 0);
    while let Some((difference, accepted)) = played.next().await {
        wrong.extend(difference);
        right += usize::from(accepted);
    }
    (wrong, right)
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_refused_where_a_real_api_server_refuses() {
    let table = read("table.txt");
    let cases: Vec<Case> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(Case::read)
        .collect();
    let mut chance = Chance::new(number("DROVER_RULES_SEED", 1) as u64);
    let random: Vec<Case> = (0..number("DROVER_RULES", USUAL))
        .map(|_| Case::read(&format!("spec | {}", random::rule(&mut chance))))
        .collect();
    let pair = Pair::start().await;
    let (mut wrong, right) = play(&pair, &cases, true).await;
    let (more, right_by_chance) = play(&pair, &random, false).await;
    wrong.extend(more);
    pair.stop().await;
    println!(
        "{right} of {} rules are right, {right_by_chance} of {} random ones",
        cases.len(),
        random.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {} rules differ:\n{}",
        wrong.len(),
        cases.len() + random.len(),
        wrong.join("\n")
    );
}
