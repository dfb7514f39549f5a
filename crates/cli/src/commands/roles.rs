//! `drover roles`: which there are, who was given which, and giving and taking them.

use serde_json::{Value, json};

use super::{Invocation, cluster, id, only, project, users};
use crate::{
    api::{Api, query, segment},
    arguments::{PlaceArguments, RoleCommand, Subject},
    error::CliError,
    output::{self, text},
};

/// A kind of bindings: where they are, what of a role they name, and the scope its roles are for.
struct Kind {
    collection: &'static str,
    id: &'static str,
    role: &'static str,
    scope: &'static str,
}

const GLOBAL: Kind = Kind {
    collection: "/v3/globalRoleBindings",
    id: "globalRoleBinding",
    role: "globalRoleId",
    scope: "global",
};
const CLUSTER: Kind = Kind {
    collection: "/v3/clusterRoleTemplateBindings",
    id: "clusterRoleTemplateBinding",
    role: "roleTemplateId",
    scope: "cluster",
};
const PROJECT: Kind = Kind {
    collection: "/v3/projectRoleTemplateBindings",
    id: "projectRoleTemplateBinding",
    role: "roleTemplateId",
    scope: "project",
};

/// Where a role is given: the cluster's and the project's id.
struct Place {
    cluster: Option<String>,
    project: Option<String>,
}

impl Place {
    async fn of(api: &Api, arguments: &PlaceArguments) -> Result<Self, CliError> {
        let mut place = Self {
            cluster: None,
            project: None,
        };
        if let Some(name) = &arguments.cluster {
            let cluster = id(&cluster(api, name).await?)?.to_owned();
            if let Some(name) = &arguments.project {
                place.project = Some(project(api, &cluster, name).await?);
            }
            place.cluster = Some(cluster);
        }
        Ok(place)
    }

    fn kind(&self) -> &'static Kind {
        match (&self.project, &self.cluster) {
            (Some(_), _) => &PROJECT,
            (None, Some(_)) => &CLUSTER,
            (None, None) => &GLOBAL,
        }
    }
}

pub(super) async fn run(
    invocation: &mut Invocation<'_>,
    command: RoleCommand,
) -> Result<(), CliError> {
    match command {
        RoleCommand::Ls { scope } => list(invocation, scope.as_deref()).await,
        RoleCommand::Grant {
            role,
            subject,
            place,
        } => grant(invocation, &role, &subject, &place).await,
        RoleCommand::Revoke { binding } => revoke(invocation, &binding).await,
        RoleCommand::Bindings { user, place } => {
            bindings(invocation, user.as_deref(), &place).await
        }
    }
}

async fn grant(
    invocation: &mut Invocation<'_>,
    role: &str,
    subject: &Subject,
    place: &PlaceArguments,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let place = Place::of(&api, place).await?;
    let kind = place.kind();
    let role = named(&api, kind.scope, role).await?;
    let mut body = json!({"type": kind.id, kind.role: role});
    match (&place.project, &place.cluster) {
        (Some(project), _) => body["projectId"] = project.as_str().into(),
        (None, Some(cluster)) => body["clusterId"] = cluster.as_str().into(),
        (None, None) => {}
    }
    match (&subject.user, &subject.group) {
        (Some(name), _) => body["userId"] = id(&users::find(&api, name).await?)?.into(),
        (None, Some(group)) => body["groupPrincipalId"] = group.as_str().into(),
        // The arguments want one of them.
        (None, None) => return Err(CliError::Usage("give --user or --group".to_owned())),
    }
    let made = api.post(kind.collection, &body).await?;
    let text = format!("The role {role} is given by {}.\n", id(&made)?);
    invocation.made(&made, &text)
}

/// Takes away a binding of any kind: its id tells where it is, but not of which kind it is.
async fn revoke(invocation: &mut Invocation<'_>, binding: &str) -> Result<(), CliError> {
    let api = invocation.api()?;
    let kinds: &[&Kind] = if binding.contains(':') {
        &[&CLUSTER, &PROJECT]
    } else {
        &[&GLOBAL]
    };
    for kind in kinds {
        let one = format!("{}/{}", kind.collection, segment(binding));
        let found = match api.find(&one).await {
            // Who may see bindings of the other kind only is refused for this one.
            Err(CliError::Refused { status: 403, .. }) if kinds.len() > 1 => None,
            other => other?,
        };
        if found.is_some() {
            api.delete(&one).await?;
            return invocation.say(&format!("What {binding} gave is taken away.\n"));
        }
    }
    Err(CliError::NotFound {
        kind: "binding",
        name: binding.to_owned(),
    })
}

async fn bindings(
    invocation: &mut Invocation<'_>,
    user: Option<&str>,
    place: &PlaceArguments,
) -> Result<(), CliError> {
    let api = invocation.api()?;
    let place = Place::of(&api, place).await?;
    let user = match user {
        Some(name) => Some(id(&users::find(&api, name).await?)?.to_owned()),
        None => None,
    };
    let everywhere = place.cluster.is_none();
    let mut found = Vec::new();
    for kind in [&GLOBAL, &CLUSTER, &PROJECT] {
        let wanted = everywhere || kind.scope == place.kind().scope;
        if !wanted {
            continue;
        }
        let in_cluster = place.cluster.as_deref().filter(|_| kind.scope == "cluster");
        let asked: Vec<(&str, &str)> = [
            ("userId", user.as_deref()),
            ("clusterId", in_cluster),
            ("projectId", place.project.as_deref()),
        ]
        .into_iter()
        .filter_map(|(field, value)| Some((field, value?)))
        .collect();
        for mut bound in api
            .list(&format!("{}?{}", kind.collection, query(&asked)))
            .await?
        {
            bound["role"] = bound[kind.role].clone();
            found.push(bound);
        }
    }
    let somebody = |bound: &Value| {
        let names = ["userId", "groupPrincipalId", "userPrincipalId", "groupId"];
        let known = names.iter().map(|name| text(&bound[*name]));
        known.into_iter().find(|name| name != "-")
    };
    if let Some(user) = &user {
        found.retain(|bound| somebody(bound).as_ref() == Some(user));
    }
    output::list(
        invocation.terminal,
        invocation.global.output,
        &found,
        &[
            ("ID", |bound| text(&bound["id"])),
            ("ROLE", |bound| text(&bound["role"])),
            ("USER", |bound| text(&bound["userId"])),
            ("GROUP", |bound| text(&bound["groupPrincipalId"])),
            ("WHERE", |bound| {
                let project = text(&bound["projectId"]);
                let cluster = text(&bound["clusterId"]);
                match (project.as_str(), cluster.as_str()) {
                    ("-", "-") => "global".to_owned(),
                    ("-", _) => cluster,
                    _ => project,
                }
            }),
        ],
    )
}

/// The id of the global role with this name or id.
pub(super) async fn global(api: &Api, name: &str) -> Result<String, CliError> {
    named(api, "global", name).await
}

/// The id of the role with this name or id, for this scope.
async fn named(api: &Api, scope: &str, name: &str) -> Result<String, CliError> {
    let roles = of_scope(api, Some(scope)).await?;
    // An id is meant before a name that is the same.
    let (by_id, others): (Vec<Value>, Vec<Value>) =
        roles.into_iter().partition(|role| role["id"] == name);
    let mut found = by_id;
    if found.is_empty() {
        found.extend(others.into_iter().filter(|role| role["name"] == name));
    }
    match only("role", name, found)? {
        Some(role) => id(&role).map(ToOwned::to_owned),
        None => Err(CliError::NotFound {
            kind: "role",
            name: name.to_owned(),
        }),
    }
}

/// Role templates and global roles in one list.
async fn of_scope(api: &Api, scope: Option<&str>) -> Result<Vec<Value>, CliError> {
    let mut roles: Vec<Value> = Vec::new();
    if scope.is_none_or(|scope| scope == "global") {
        for mut role in api.list("/v3/globalRoles").await? {
            role["context"] = "global".into();
            roles.push(role);
        }
    }
    if scope != Some("global") {
        let templates = api.list("/v3/roleTemplates").await?;
        roles.extend(
            templates
                .into_iter()
                .filter(|role| scope.is_none_or(|scope| role["context"] == scope)),
        );
    }
    Ok(roles)
}

async fn list(invocation: &mut Invocation<'_>, scope: Option<&str>) -> Result<(), CliError> {
    let roles = of_scope(&invocation.api()?, scope).await?;
    output::list(
        invocation.terminal,
        invocation.global.output,
        &roles,
        &[
            ("ID", |role| text(&role["id"])),
            ("NAME", |role| text(&role["name"])),
            ("SCOPE", |role| text(&role["context"])),
            ("BUILT IN", |role| text(&role["builtin"])),
            ("LOCKED", |role| text(&role["locked"])),
        ],
    )
}
