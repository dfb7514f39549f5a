//! `drover users`: local users, their passwords, and whether they are let in.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{Invocation, confirm, id, roles};
use crate::{
    api::{Api, query, segment},
    arguments::{Format, UserCommand},
    error::CliError,
    output::{self, text},
};

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: UserCommand,
) -> Result<(), CliError> {
    match command {
        UserCommand::Ls => list(invocation).await,
        UserCommand::Show { user } => show(invocation, &user).await,
        UserCommand::Create {
            username,
            name,
            description,
            roles,
            must_change_password,
            password_stdin,
        } => {
            let mut body = json!({
                "type": "user", "username": username, "enabled": true, "mustChangePassword": must_change_password,
            });
            for (field, value) in [("name", name), ("description", description)] {
                if let Some(value) = value {
                    body[field] = value.into();
                }
            }
            create(invocation, body, &roles, password_stdin).await
        }
        UserCommand::Enable { user } => switch(invocation, &user, true).await,
        UserCommand::Disable { user } => switch(invocation, &user, false).await,
        UserCommand::Password {
            user,
            password_stdin,
        } => password(invocation, user.as_deref(), password_stdin).await,
        UserCommand::Delete { user: name, yes } => {
            let api = invocation.api()?;
            let user = find(&api, &name).await?;
            let question = format!("Delete the user {name} with its tokens and roles?");
            confirm(invocation.terminal, yes, &question)?;
            api.delete(&location(&user)?).await?;
            invocation.say(&format!("User {name} is deleted.\n"))
        }
    }
}

async fn list(invocation: &mut Invocation<'_>) -> Result<(), CliError> {
    let users = invocation.api()?.list("/v3/users").await?;
    output::list(
        invocation.terminal,
        invocation.global.output,
        &users,
        &[
            ("ID", |user| text(&user["id"])),
            ("USERNAME", |user| text(&user["username"])),
            ("NAME", |user| text(&user["name"])),
            ("ENABLED", |user| text(&user["enabled"])),
            ("ME", |user| {
                if user["me"] == true {
                    "*".to_owned()
                } else {
                    String::new()
                }
            }),
        ],
    )
}

async fn show(invocation: &mut Invocation<'_>, name: &str) -> Result<(), CliError> {
    let api = invocation.api()?;
    let user = find(&api, name).await?;
    if invocation.format() != Format::Table {
        return output::object(invocation.terminal, invocation.global.output, &user);
    }
    let query = query(&[("userId", id(&user)?)]);
    let bound = api.list(&format!("/v3/globalRoleBindings?{query}")).await?;
    let roles: Vec<String> = bound
        .iter()
        .map(|bound| text(&bound["globalRoleId"]))
        .collect();
    let listed = |field: &str| {
        let values = user[field].as_array().into_iter().flatten();
        values.map(text).collect::<Vec<_>>().join(", ")
    };
    let rows = [
        ("id:", text(&user["id"])),
        ("username:", text(&user["username"])),
        ("name:", text(&user["name"])),
        ("description:", text(&user["description"])),
        ("enabled:", text(&user["enabled"])),
        ("must change password:", text(&user["mustChangePassword"])),
        ("principals:", listed("principalIds")),
        ("global roles:", roles.join(", ")),
        ("created:", text(&user["created"])),
    ]
    .map(|(title, value)| vec![title.to_owned(), value]);
    invocation.say(&output::table(&rows))
}

async fn create(
    invocation: &mut Invocation<'_>,
    mut body: Value,
    roles: &[String],
    from_input: bool,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    // What is misspelt is found before anything is made.
    let mut given = Vec::new();
    for role in roles {
        given.push(roles::global(&api, role).await?);
    }
    let password = if from_input {
        SecretString::from(
            invocation
                .terminal
                .read_all()?
                .trim_end_matches(['\r', '\n']),
        )
    } else {
        chosen(invocation)?
    };
    body["password"] = password.expose_secret().into();
    let user = api.post("/v3/users", &body).await?;
    let id = id(&user)?.to_owned();
    for role in given {
        let binding = json!({"type": "globalRoleBinding", "globalRoleId": role, "userId": id});
        if let Err(error) = api.post("/v3/globalRoleBindings", &binding).await {
            invocation.terminal.complain(&format!(
                "warning: the user {id} is made, but has not got the role {role}"
            ));
            return Err(error);
        }
    }
    let name = text(&body["username"]);
    invocation.made(&user, &format!("User {name} ({id}) is made.\n"))
}

async fn switch(
    invocation: &mut Invocation<'_>,
    name: &str,
    enabled: bool,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let user = find(&api, name).await?;
    let body = json!({ "enabled": enabled });
    api.put(&location(&user)?, &body).await?;
    let state = if enabled { "enabled" } else { "disabled" };
    invocation.say(&format!("User {name} is {state}.\n"))
}

async fn password(
    invocation: &mut Invocation<'_>,
    name: Option<&str>,
    from_input: bool,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let Some(name) = name else {
        let (current, new) = if from_input {
            let read = SecretString::from(invocation.terminal.read_all()?);
            let mut lines = read.expose_secret().lines();
            match (lines.next(), lines.next()) {
                (Some(current), Some(new)) => {
                    (SecretString::from(current), SecretString::from(new))
                }
                _ => {
                    let text = "standard input must hold two lines: your current password, and the new one";
                    return Err(CliError::Usage(text.to_owned()));
                }
            }
        } else {
            let current = ask(invocation, "Current password:")?;
            (current, chosen(invocation)?)
        };
        let body = json!({
            "currentPassword": current.expose_secret(), "newPassword": new.expose_secret(),
        });
        api.post("/v3/users?action=changepassword", &body).await?;
        return invocation.say("Your password is changed.\n");
    };
    let user = find(&api, name).await?;
    let new = if from_input {
        let read = invocation.terminal.read_all()?;
        SecretString::from(read.trim_end_matches(['\r', '\n']))
    } else {
        chosen(invocation)?
    };
    let body = json!({ "newPassword": new.expose_secret() });
    let action = format!("{}?action=setpassword", location(&user)?);
    api.post(&action, &body).await?;
    invocation.say(&format!("The password of {name} is set.\n"))
}

/// A new password, typed twice.
fn chosen(invocation: &mut Invocation<'_>) -> Result<SecretString, CliError> {
    let new = ask(invocation, "New password:")?;
    let again = ask(invocation, "New password, again:")?;
    if new.expose_secret() == again.expose_secret() {
        Ok(new)
    } else {
        Err(CliError::Usage("these are two passwords".to_owned()))
    }
}

fn ask(invocation: &mut Invocation<'_>, question: &str) -> Result<SecretString, CliError> {
    if !invocation.terminal.interactive() {
        return Err(CliError::Usage(
            "give the password with --password-stdin; there is no terminal to ask on".to_owned(),
        ));
    }
    Ok(invocation.terminal.ask_secret(question)?)
}

fn location(user: &Value) -> Result<String, CliError> {
    Ok(format!("/v3/users/{}", segment(id(user)?)))
}

/// The user with this login name or id.
pub(super) async fn find(api: &Api, name: &str) -> Result<Value, CliError> {
    let query = query(&[("username", name)]);
    let named = api.list(&format!("/v3/users?{query}")).await?;
    if let Some(user) = named.into_iter().find(|user| user["username"] == name) {
        return Ok(user);
    }
    let found = api.find(&format!("/v3/users/{}", segment(name))).await?;
    found.ok_or_else(|| CliError::NotFound {
        kind: "user",
        name: name.to_owned(),
    })
}
