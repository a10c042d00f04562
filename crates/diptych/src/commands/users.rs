//! `diptych users`: who may do what.

use std::path::Path;

use anyhow::Result;
use diptych_core::{Name, Role};
use diptych_stages::Ctx;
use diptych_stages::ctx::now;
use diptych_store::people::{Person, PersonKind};
use diptych_store::sign_in::Invitation;

use super::print;
use crate::args::Users;
use crate::{Usage, place, progress, table};

/// Does what was asked.
pub async fn run(folder: &Path, what: Users) -> Result<()> {
    let ctx = place::open(folder, progress::choose(true)).await?;
    match what {
        Users::List => {
            let people = ctx.store.people(&ctx.sprint).await?;
            let rows: Vec<Vec<String>> = people
                .into_iter()
                .map(|person| vec![person.name, person.kind, person.role, person.responses.to_string()])
                .collect();
            print(&table::render(&["name", "kind", "role", "responses"], &rows))?;
        }
        Users::Role { name, role } => {
            let Some(role) = Role::from_word(&role) else {
                let roles: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
                return Err(Usage(format!("there is no role `{role}` (roles: {})", roles.join(", "))).into());
            };
            let wanted = checked(&name)?;
            let is_new = ctx.store.person_named(&wanted).await?.is_none();
            let person = ctx.store.person(&wanted, PersonKind::Person, now()).await?;
            ctx.store.set_role(&ctx.sprint, &person.id, role).await?;
            let known = if is_new { ", who has not been here before" } else { "" };
            print(&format!("{}{known} is {role} of {}\n", person.name, ctx.config.sprint.slug))?;
        }
        Users::Invite { role, places, days } => {
            let Some(role @ (Role::Annotator | Role::Moderator)) = Role::from_word(&role) else {
                return Err(
                    Usage(format!("one is invited as annotator or moderator, not as `{role}`")).into()
                );
            };
            let secret = diptych_web::new_secret();
            let to = Invitation { sprint: ctx.sprint.clone(), role };
            let expires_at = now().saturating_add(i64::from(days) * 24 * 3600 * 1000);
            ctx.store.invite(&secret, &to, places, now(), expires_at).await?;
            let mut config = place::Server::find(folder)?.config;
            config.in_space(|name| std::env::var(name).ok());
            let at = config.serve.public_url.unwrap_or_else(|| {
                tracing::warn!(
                    "nobody elsewhere can open this link: name the server's address in diptych.toml ([serve] public_url), \
                     or put the one that `diptych serve` prints in front of /invite/"
                );
                "http://127.0.0.1:7860".to_owned()
            });
            print(&format!("{}/invite/{secret}\n", at.trim_end_matches('/')))?;
        }
        Users::Exclude { name, reason } => {
            let person = known(&ctx, &name).await?;
            let text = match ctx.store.exclude(&ctx.sprint, &person.id, &reason, now()).await? {
                true => "no longer count, and others are asked in their place",
                false => "did not count already",
            };
            print(&format!("{}'s answers {text}\n", person.name))?;
        }
        Users::Include { name } => {
            let person = known(&ctx, &name).await?;
            let text = match ctx.store.include(&ctx.sprint, &person.id, now()).await? {
                true => "count again; those whose pairs others have filled are kept as surplus",
                false => "did count already",
            };
            print(&format!("{}'s answers {text}\n", person.name))?;
        }
        Users::Token { name } => {
            let person = ctx.store.person(&checked(&name)?, PersonKind::Person, now()).await?;
            let token = diptych_web::new_secret();
            ctx.store.add_token(&person.id, &token, now()).await?;
            print(&format!("{token}\n"))?;
        }
        Users::Revoke { name } => {
            let person = known(&ctx, &name).await?;
            let tokens = ctx.store.revoke_tokens(&person.id).await?;
            print(&format!("{tokens} tokens of {} are no longer good for anything\n", person.name))?;
        }
    }
    ctx.store.close().await;
    Ok(())
}

/// Somebody who is there already: a slip of the keyboard makes nobody.
async fn known(ctx: &Ctx, name: &str) -> Result<Person> {
    let wanted = checked(name)?;
    let found = ctx.store.person_named(&wanted).await?;
    found.ok_or_else(|| {
        Usage(format!("nobody here is named `{}`; `diptych users list` says who is", wanted.shown())).into()
    })
}

fn checked(name: &str) -> Result<Name> {
    Name::parse(name)
        .map_err(|error| Usage(format!("`{}`: {error}", name.chars().take(60).collect::<String>())).into())
}
