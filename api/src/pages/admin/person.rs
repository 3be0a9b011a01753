//! `GET /admin/people/{account}`: somebody's account and the roles that it holds. `POST …/lock` refuses it and signs it out,
//! `…/unlock` takes it again, `…/password` gives it another first password, which is shown then and never again;
//! `…/roles` grants a role, and `…/roles/{role}/end` ends one.
//!
//! Nobody does any of this to their own account: another administrator has to. The record holds that by itself
//! (`store/migrations/0036`), and what is done here is in the log for other administrators and privacy officers to see.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use homeward_record::PatientId;
use homeward_store::access::{NewRole, Role, account_of, end_role};
use homeward_store::accounts::{
    AccountFilter, ListedAccount, disable_account, enable_account, list_accounts, set_password,
    unlock_account,
};
use homeward_store::admin::grant_account_role;
use homeward_store::patients::{find_person, kind_of_organisation};
use homeward_store::sessions::end_sessions_of;
use sqlx::PgConnection;

use super::people::{Standing, shown_once, state_in_words};
use super::{Choice, number_of, sections};
use crate::access::Exchange;
use crate::access_log::{capital, role_in_words};
use crate::error::ApiError;
use crate::pages::form::Form;
use crate::pages::moment::Moment;
use crate::pages::problems::Problems;
use crate::pages::role;
use crate::pages::view::{Link, Who, page, see};
use crate::password;
use crate::request::Path;
use crate::routes::App;
use crate::series::unknown;
use crate::sign_in::random_text;

/// The roles that people hold; programs have tokens.
const ROLES: [Role; 7] = [
    Role::CareTeamMember,
    Role::CareTeamLead,
    Role::GpClinician,
    Role::GpManager,
    Role::PrivacyOfficer,
    Role::Administrator,
    Role::Patient,
];

#[derive(Template)]
#[template(path = "pages/admin/person.html")]
struct Person {
    who: Option<Who>,
    sections: Vec<Link>,
    problems: Problems,
    once: String,
    id: i64,
    name: String,
    sign_in_name: String,
    since: Moment,
    state: Standing,
    second_factor: bool,
    locked: bool,
    /// Whether it is the reader's own.
    own: bool,
    roles: Vec<Held>,
    offered: Vec<Choice>,
    organisations: Vec<Choice>,
    patient: String,
}

/// A role that the account holds.
struct Held {
    id: i64,
    text: String,
}

pub(crate) async fn get(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let account = account_in(&exchange, &path).await?;
    show(&exchange, account, &Form::empty(), Problems::default()).await
}

/// The account of the path.
async fn account_in(exchange: &Exchange, path: &Path) -> Result<ListedAccount, ApiError> {
    let id: i64 = path.value("account")?;
    let filter = AccountFilter {
        id: Some(id),
        ..AccountFilter::default()
    };
    let mut connection = exchange.connection().await;
    let found = list_accounts(&mut connection, &filter, exchange.now(), 1)
        .await?
        .pop();
    found.ok_or_else(|| ApiError::NotFound(format!("there is no account {id}")))
}

/// Whether an account is the caller's own.
async fn is_own(exchange: &Exchange, account: i64) -> Result<bool, ApiError> {
    let held = exchange.principal().acts_as.id;
    let own = account_of(&mut *exchange.connection().await, held).await?;
    Ok(own == Some(account))
}

/// The account of the path, which has to be somebody else's.
async fn other_s_account(exchange: &Exchange, path: &Path) -> Result<ListedAccount, ApiError> {
    let account = account_in(exchange, path).await?;
    if is_own(exchange, account.id).await? {
        return Err(ApiError::Forbidden(
            "it is your own account: another administrator has to change it",
        ));
    }
    Ok(account)
}

async fn show(
    exchange: &Exchange,
    account: ListedAccount,
    form: &Form,
    problems: Problems,
) -> Result<Response, ApiError> {
    let own = is_own(exchange, account.id).await?;
    let mut connection = exchange.connection().await;
    let roles = ROLES.map(|role| (role.as_str(), capital(role_in_words(role))));
    let status = problems.status();
    let template = Person {
        who: Who::of(exchange),
        sections: sections(exchange),
        problems,
        once: random_text(),
        state: state_in_words(&account, exchange.now()),
        since: Moment::new(account.created_at),
        locked: account.disabled_at.is_some() || account.locked_until.is_some(),
        own,
        roles: account
            .roles
            .iter()
            .map(|held| Held {
                id: held.id,
                text: role::in_words(held),
            })
            .collect(),
        offered: Choice::of(roles, form.text("role")),
        organisations: Choice::organisations(&mut connection, None, form.text("organisation")).await?,
        patient: form.text("patient").to_owned(),
        id: account.id,
        name: account.name,
        sign_in_name: account.sign_in_name,
        second_factor: account.second_factor,
    };
    Ok(page(status, &template))
}

fn back_to(account: i64) -> Response {
    see(&format!("/admin/people/{account}"))
}

/// `POST /admin/people/{account}/lock`.
pub(crate) async fn lock(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let account = other_s_account(&exchange, &path).await?;
    disable_account(&mut *exchange.connection().await, account.id, exchange.now()).await?;
    exchange.note_reason(&format!("locked {}, account {}", account.name, account.id));
    Ok(back_to(account.id))
}

/// `POST /admin/people/{account}/unlock`.
pub(crate) async fn unlock(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let account = other_s_account(&exchange, &path).await?;
    let mut connection = exchange.connection().await;
    enable_account(&mut connection, account.id).await?;
    unlock_account(&mut connection, account.id, exchange.now()).await?;
    exchange.note_reason(&format!("unlocked {}, account {}", account.name, account.id));
    Ok(back_to(account.id))
}

/// `POST /admin/people/{account}/password`.
pub(crate) async fn password(
    State(app): State<App>,
    exchange: Exchange,
    path: Path,
) -> Result<Response, ApiError> {
    let account = other_s_account(&exchange, &path).await?;
    let first = password::first();
    let hash = app.hashing.hash(first.clone()).await?;
    let until = exchange.now() + password::FIRST_LASTS;
    let mut connection = exchange.connection().await;
    set_password(&mut connection, account.id, &hash, Some(until)).await?;
    end_sessions_of(&mut connection, account.id, None, exchange.now()).await?;
    exchange.note_reason(&format!(
        "gave {}, account {}, another first password",
        account.name, account.id
    ));
    let of = (account.id, account.name.as_str(), account.sign_in_name.as_str());
    Ok(shown_once(&exchange, of, &first, until))
}

/// `POST /admin/people/{account}/roles`.
pub(crate) async fn grant(exchange: Exchange, path: Path, form: Form) -> Result<Response, ApiError> {
    let account = other_s_account(&exchange, &path).await?;
    let mut problems = Problems::default();
    let role = form
        .text("role")
        .parse()
        .map_err(|_: String| "pick one of the roles");
    let role = problems.take("role", role.and_then(offered));
    let organisation = problems.take("organisation", number_of(form.text("organisation")));
    let patient = problems.take("patient", number_of(form.text("patient")));
    let (Some(role), Some(organisation), Some(patient)) = (role, organisation, patient) else {
        return show(&exchange, account, &form, problems).await;
    };
    let new = NewRole {
        account: Some(account.id),
        role,
        organisation,
        patient: patient.map(PatientId),
    };
    match granted(&exchange, &account, &new).await {
        Ok(()) => Ok(back_to(account.id)),
        Err(error) => {
            problems.refused("role", error)?;
            show(&exchange, account, &form, problems).await
        }
    }
}

fn offered(role: Role) -> Result<Role, &'static str> {
    match ROLES.contains(&role) {
        true => Ok(role),
        false => Err("pick one of the roles"),
    }
}

async fn granted(exchange: &Exchange, account: &ListedAccount, new: &NewRole) -> Result<(), ApiError> {
    let mut connection = exchange.connection().await;
    require_fit(&mut connection, new).await?;
    if let Some(patient) = new.patient {
        let person = find_person(&mut connection, patient).await?;
        person.ok_or_else(|| unknown(patient))?;
        exchange.note_patients([patient]);
    }
    let held = grant_account_role(&mut connection, account.id, new, exchange.now()).await?;
    let role = role_in_words(new.role);
    let place = match (new.organisation, new.patient) {
        (Some(organisation), _) => format!(" of organisation {organisation}"),
        (None, Some(patient)) => format!(" no. {patient}"),
        (None, None) => String::new(),
    };
    exchange.note_reason(&format!(
        "made {}, account {}, a {role}{place}: role {held}",
        account.name, account.id
    ));
    Ok(())
}

/// Refuses a role in an organisation of a kind in which it would see nobody.
async fn require_fit(connection: &mut PgConnection, new: &NewRole) -> Result<(), ApiError> {
    let kind = match new.role {
        Role::CareTeamMember | Role::CareTeamLead => "care_team",
        Role::GpClinician | Role::GpManager => "gp_practice",
        _ => return Ok(()),
    };
    let Some(organisation) = new.organisation else {
        return Ok(());
    };
    match kind_of_organisation(connection, organisation).await? {
        Some(found) if found == kind => Ok(()),
        _ => {
            let kind = kind.replace('_', " ").replace("gp", "GP");
            let detail = format!("this role is one within a {kind}");
            Err(ApiError::parameter("organisation", detail))
        }
    }
}

/// `POST /admin/people/{account}/roles/{role}/end`.
pub(crate) async fn end(exchange: Exchange, path: Path) -> Result<Response, ApiError> {
    let account = other_s_account(&exchange, &path).await?;
    let role: i64 = path.value("role")?;
    let held = account.roles.iter().find(|held| held.id == role);
    let held = held.ok_or_else(|| ApiError::NotFound(format!("the account holds no role {role}")))?;
    end_role(&mut *exchange.connection().await, role, exchange.now()).await?;
    exchange.note_patients(held.patient);
    exchange.note_reason(&format!(
        "{}, account {}, is no longer {}: role {role}",
        account.name,
        account.id,
        role::in_words(held)
    ));
    Ok(back_to(account.id))
}
