//! `drover context`.

use serde_json::{Value, json};

use super::Invocation;
use crate::{arguments::ContextCommand, error::CliError, output};

pub(super) fn run(
    invocation: &mut Invocation<'_>,
    command: ContextCommand,
) -> Result<(), CliError> {
    match command {
        ContextCommand::Ls => {
            let current = &invocation.configuration.current;
            let contexts: Vec<Value> = invocation
                .configuration
                .contexts
                .iter()
                .map(|(name, context)| {
                    json!({
                        "name": name,
                        "current": name == current,
                        "server": context.server,
                        "user": context.user,
                        "loggedIn": context.token.is_some(),
                        "cluster": context.cluster,
                    })
                })
                .collect();
            output::list(
                invocation.terminal,
                invocation.global.output,
                &contexts,
                &[
                    ("CURRENT", |context| {
                        if context["current"] == true {
                            "*".to_owned()
                        } else {
                            String::new()
                        }
                    }),
                    ("NAME", |context| output::text(&context["name"])),
                    ("SERVER", |context| output::text(&context["server"])),
                    ("USER", |context| output::text(&context["user"])),
                    ("LOGGED IN", |context| output::text(&context["loggedIn"])),
                    ("CLUSTER", |context| output::text(&context["cluster"])),
                ],
            )
        }
        ContextCommand::Use { name } => {
            if !invocation.configuration.contexts.contains_key(&name) {
                return Err(CliError::NoContext(name));
            }
            invocation.configuration.current.clone_from(&name);
            invocation.save()?;
            invocation.say(&format!("The current context is {name}.\n"))
        }
        ContextCommand::Delete { name } => {
            if invocation.configuration.contexts.remove(&name).is_none() {
                return Err(CliError::NoContext(name));
            }
            if invocation.configuration.current == name {
                invocation.configuration.current.clear();
            }
            super::kubectl::forget(&invocation.file, &name)?;
            invocation.save()?;
            invocation.say(&format!(
                "Context {name} is forgotten; its session on the server ends by itself.\n"
            ))
        }
    }
}
