//! The one place that decides whether somebody may do something.

use homeward_store::access::{Basis, Role};

use super::Action;
use super::principal::{Principal, Subject};

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// Nobody in this role does that.
    Role,
    /// The token is not for that.
    Scope,
    /// There is no reason on file to see the patient: to the caller there is no such patient.
    NoReason,
}

/// Whether a role does such things at all.
pub(crate) fn does(role: Role, action: Action) -> bool {
    use Role::{
        Administrator, CareTeamLead, CareTeamMember, GpClinician, GpManager, Integrator, Patient,
        PrivacyOfficer,
    };
    match action {
        // Whoever looks after people and devices has to find them.
        Action::FindPatients | Action::ReadPatient | Action::ReadDevices => role != PrivacyOfficer,
        Action::ManagePatients
        | Action::ReadPeople
        | Action::ManagePeople
        | Action::GrantRoles
        | Action::ManageOrganisations
        | Action::ManageTokens
        | Action::ReadRejected
        | Action::ReplayRejected
        | Action::ReadHealth => role == Administrator,
        Action::EnrolPatients | Action::EndEnrolments | Action::ManageDevices => {
            matches!(role, Administrator | CareTeamLead)
        }
        // Nobody administers unseen.
        Action::ReadAdministration => matches!(role, Administrator | PrivacyOfficer),
        Action::ReadNotes
        | Action::ReadDeviceMetrics
        | Action::ReadProvenance
        | Action::ReadEverything
        | Action::ReadReadings
        | Action::ReadCarePlan
        | Action::ReadAlerts
        | Action::ReadFlags
        | Action::ReadStepGoal
        | Action::ReadChoices => !matches!(role, PrivacyOfficer | Administrator),
        Action::Export => matches!(role, CareTeamLead | GpClinician | GpManager | Integrator),
        Action::ReadOverview | Action::ListPatients => {
            !matches!(role, Patient | PrivacyOfficer | Administrator)
        }
        Action::EnterReadings
        | Action::CorrectReadings
        | Action::WorkOnAlerts
        | Action::WriteNotes
        | Action::WorkOnTasks => {
            matches!(role, CareTeamMember | CareTeamLead | GpClinician | Integrator)
        }
        Action::ReadTasks => !matches!(role, Patient | PrivacyOfficer | Administrator),
        Action::ChangeCarePlan => matches!(role, CareTeamLead | GpClinician),
        Action::TryRules => matches!(role, CareTeamMember | CareTeamLead | GpClinician | GpManager),
        Action::ReadAccessLog => matches!(role, Patient | PrivacyOfficer),
        Action::BreakGlass => matches!(role, CareTeamMember | CareTeamLead | GpClinician),
        Action::ReviewBreakGlass | Action::ReadRefusals => matches!(role, PrivacyOfficer),
        Action::Choose | Action::ReadShares | Action::Share | Action::SetStepGoal => matches!(role, Patient),
    }
}

/// Whether a reason to see a patient covers such things. Who is named as a proxy, or has broken the glass, looks and
/// changes nothing.
fn covers(basis: Basis, action: Action) -> bool {
    match basis {
        Basis::Own | Basis::Registration | Basis::Enrolment => true,
        Basis::Proxy | Basis::BreakGlass => !action.scope().write,
    }
}

/// What [`super::pass`] asks: [`may`], but in the test that row-level security holds without it.
pub(crate) type Decide = fn(&Principal, Action, Option<Option<Basis>>) -> Result<(), Denied>;

/// Whether somebody may do something: at all, or to a patient for whom there is this reason on file, or none.
pub(crate) fn may(
    principal: &Principal,
    action: Action,
    patient: Option<Option<Basis>>,
) -> Result<(), Denied> {
    let role = principal.acts_as.role;
    if !does(role, action) {
        return Err(Denied::Role);
    }
    if !principal.has_scope(action.scope()) {
        return Err(Denied::Scope);
    }
    // A privacy officer looks at who looked, of any patient, and an administrator looks after people and devices; what
    // they do needs no relationship, and shows nothing clinical.
    if matches!(role, Role::PrivacyOfficer | Role::Administrator) {
        return Ok(());
    }
    match patient {
        None => Ok(()),
        Some(None) => Err(Denied::NoReason),
        Some(Some(basis)) if covers(basis, action) => Ok(()),
        Some(Some(_)) => Err(Denied::Role),
    }
}

impl Principal {
    /// Whether the scopes of a token include this. Whoever is signed in, and a token without scopes, has all.
    fn has_scope(&self, wanted: super::action::Scope) -> bool {
        let Subject::Token {
            scopes: Some(scopes), ..
        } = &self.subject
        else {
            return true;
        };
        scopes.iter().any(|scope| grants(scope, wanted))
    }
}

/// Whether a text is a SMART scope for resources of a type or of all types. One with a query, for some resources of a
/// type alone, is none here: see [`grants`].
pub fn is_scope(text: &str) -> bool {
    let parts = text
        .split_once('/')
        .and_then(|(context, rest)| Some((context, rest.split_once('.')?)));
    parts.is_some_and(|(context, (resource, access))| {
        let is_whole = !resource.is_empty() && !access.is_empty() && !access.contains('?');
        matches!(context, "user" | "system" | "patient") && is_whole
    })
}

/// Whether a SMART scope, `user/Observation.rs` or `patient/*.read` or `system/*.*`, grants something. One with a query,
/// `user/Observation.rs?category=laboratory`, grants nothing: it would be more than it says.
fn grants(scope: &str, wanted: super::action::Scope) -> bool {
    let Some((_, rest)) = scope.split_once('/') else {
        return false;
    };
    let Some((resource, access)) = rest.split_once('.') else {
        return false;
    };
    if access.contains('?') {
        return false;
    }
    let (read, write) = match access {
        "*" => (true, true),
        "read" => (true, false),
        "write" => (false, true),
        letters => (
            letters.contains('r') && letters.contains('s'),
            letters.contains('c') && letters.contains('u'),
        ),
    };
    (resource == "*" || resource == wanted.resource) && if wanted.write { write } else { read }
}

#[cfg(test)]
mod tests {
    use super::super::action::Scope;
    use super::*;

    #[test]
    fn scopes_are_those_of_smart_in_both_versions() {
        let read = Scope {
            resource: "Observation",
            write: false,
        };
        let write = Scope {
            resource: "Observation",
            write: true,
        };
        for (scope, reads, writes) in [
            ("user/Observation.read", true, false),
            ("system/Observation.rs", true, false),
            ("patient/*.cruds", true, true),
            ("system/*.*", true, true),
            ("user/Observation.write", false, true),
            ("user/Observation.cu", false, true),
            ("user/Observation.r", false, false),
            ("user/Observation.rs?category=laboratory", false, false),
            ("user/*.*?", false, false),
            ("user/CarePlan.read", false, false),
            ("user/Observation", false, false),
            ("launch", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (grants(scope, read), grants(scope, write)),
                (reads, writes),
                "{scope}"
            );
        }
    }

    #[test]
    fn a_proxy_and_whoever_breaks_the_glass_look_and_change_nothing() {
        for action in Action::ALL {
            for basis in [Basis::Proxy, Basis::BreakGlass] {
                assert_eq!(
                    covers(basis, *action),
                    !action.scope().write,
                    "{basis:?} {action:?}"
                );
            }
        }
    }
}
