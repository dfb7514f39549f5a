//! `drover tokens`.

use serde_json::json;

use super::{Invocation, cluster, id};
use crate::{
    api::segment,
    arguments::{Format, TokenCommand},
    error::CliError,
    output::{self, text},
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: TokenCommand,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    match command {
        TokenCommand::Ls => {
            let tokens = api.list("/v3/tokens").await?;
            output::list(
                invocation.terminal,
                invocation.global.output,
                &tokens,
                &[
                    ("NAME", |token| text(&token["id"])),
                    ("CURRENT", |token| {
                        if token["current"] == true {
                            "*".to_owned()
                        } else {
                            String::new()
                        }
                    }),
                    ("CLUSTER", |token| text(&token["clusterId"])),
                    ("EXPIRES", |token| {
                        if token["expired"] == true {
                            "expired".to_owned()
                        } else {
                            text(&token["expiresAt"])
                        }
                    }),
                    ("LAST USED", |token| text(&token["lastUsedAt"])),
                    ("DESCRIPTION", |token| text(&token["description"])),
                ],
            )
        }
        TokenCommand::Create {
            description,
            ttl,
            cluster: name,
        } => {
            let mut body = json!({"type": "token", "ttl": milliseconds(&ttl)?});
            if let Some(description) = description {
                body["description"] = description.into();
            }
            if let Some(name) = name {
                body["clusterId"] = id(&cluster(&api, &name).await?)?.into();
            }
            let token = api.post("/v3/tokens", &body).await?;
            if invocation.format() != Format::Table {
                return output::object(invocation.terminal, invocation.global.output, &token);
            }
            invocation
                .terminal
                .complain("The token is shown this once:");
            invocation.say(&format!("{}\n", text(&token["token"])))
        }
        TokenCommand::Delete { names } => {
            for name in names {
                api.delete(&format!("/v3/tokens/{}", segment(&name)))
                    .await
                    .map_err(|error| match error {
                        CliError::Refused { status: 404, .. } => CliError::NotFound {
                            kind: "token",
                            name: name.clone(),
                        },
                        other => other,
                    })?;
                invocation.say(&format!("Token {name} is deleted.\n"))?;
            }
            Ok(())
        }
    }
}

/// A duration such as `90s`, `30m`, `12h`, `7d`; a plain number counts seconds.
fn milliseconds(text: &str) -> Result<u64, CliError> {
    let invalid = || {
        CliError::Usage(format!(
            "--ttl {text:?} is not a duration such as 90s, 30m, 12h or 7d"
        ))
    };
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(invalid()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(unit))
        .ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_have_units() {
        let table = [
            ("0", Some(0)),
            ("90", Some(90_000)),
            ("90s", Some(90_000)),
            ("30m", Some(1_800_000)),
            ("12h", Some(43_200_000)),
            ("7d", Some(604_800_000)),
            ("", None),
            ("d", None),
            ("1w", None),
            ("-1", None),
            ("99999999999999999d", None),
        ];
        for (text, expected) in table {
            assert_eq!(milliseconds(text).ok(), expected, "{text}");
        }
    }
}
