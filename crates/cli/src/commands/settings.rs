//! `drover settings`.

use serde_json::{Value, json};

use super::Invocation;
use crate::{
    api::{Api, segment},
    arguments::{Format, SettingCommand},
    error::CliError,
    output::{self, text},
};

async fn setting(api: &Api, name: &str) -> Result<Value, CliError> {
    let found = api.find(&format!("/v3/settings/{}", segment(name))).await?;
    found.ok_or_else(|| CliError::NotFound {
        kind: "setting",
        name: name.to_owned(),
    })
}

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: SettingCommand,
) -> Result<(), CliError> {
    match command {
        SettingCommand::Ls => {
            let settings = invocation.api()?.list("/v3/settings").await?;
            output::list(
                invocation.terminal,
                invocation.global.output,
                &settings,
                &[
                    ("NAME", |setting| text(&setting["name"])),
                    ("SOURCE", |setting| text(&setting["source"])),
                    ("VALUE", short),
                ],
            )
        }
        SettingCommand::Get { name } => {
            let setting = setting(&invocation.api()?, &name).await?;
            match invocation.format() {
                Format::Table => invocation.say(&format!(
                    "{}\n",
                    setting["value"].as_str().unwrap_or_default()
                )),
                Format::Json | Format::Yaml => {
                    output::object(invocation.terminal, invocation.global.output, &setting)
                }
            }
        }
        SettingCommand::Set {
            name,
            value,
            default,
        } => {
            let api = invocation.api()?;
            let before = setting(&api, &name).await?;
            // The empty value stands for the default.
            let value = if default {
                String::new()
            } else {
                value.unwrap_or_default()
            };
            let location = format!("/v3/settings/{}", segment(&name));
            let after = api
                .put(
                    &location,
                    &json!({"type": "setting", "name": name, "value": value}),
                )
                .await?;
            invocation.say(&format!(
                "{name}: {} -> {}\n",
                short(&before),
                short(&after)
            ))
        }
    }
}

/// The value on one line.
fn short(setting: &Value) -> String {
    const LONGEST: usize = 80;
    let value = text(&setting["value"]);
    let line = value.lines().next().unwrap_or_default();
    if line.len() == value.len() && line.chars().count() <= LONGEST {
        value
    } else {
        format!("{}…", line.chars().take(LONGEST).collect::<String>())
    }
}
