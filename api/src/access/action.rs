//! What can be done through the interface.

/// What a request does. Each route names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Finds patients by name or number.
    FindPatients,
    /// Reads who a patient is.
    ReadPatient,
    /// Puts patients into the record, changes who they are, and enrols them with teams.
    ManagePatients,
    /// Puts patients into the care of a team, for whoever looks after its list.
    EnrolPatients,
    /// Ends enrolments.
    EndEnrolments,
    /// Registers, assigns and revokes devices, and sees which there are.
    ManageDevices,
    /// Reads which accounts there are, and which roles they hold.
    ReadPeople,
    /// Adds accounts, refuses them and takes them again, and gives first passwords.
    ManagePeople,
    /// Grants accounts roles, and ends roles.
    GrantRoles,
    /// Adds organisations, and sees which there are.
    ManageOrganisations,
    /// Adds tokens of programs and revokes them, and sees which there are.
    ManageTokens,
    /// Reads what administrators did.
    ReadAdministration,
    /// Reads which messages of devices were refused, and why; not what is in them.
    ReadRejected,
    /// Has refused messages tried once more.
    ReplayRejected,
    /// Reads how broker, lanes and database are.
    ReadHealth,
    /// Reads notes.
    ReadNotes,
    /// Writes notes.
    WriteNotes,
    /// Reads what a team has to do.
    ReadTasks,
    /// Adds, changes and ends tasks.
    WorkOnTasks,
    /// Reads which devices measure a patient.
    ReadDevices,
    /// Reads what these devices have measured.
    ReadDeviceMetrics,
    /// Reads who or what made readings and care plans.
    ReadProvenance,
    /// Reads the whole record, to hand it on.
    ReadEverything,
    /// Takes the records of many patients along.
    Export,
    /// Reads readings, trends and summaries.
    ReadReadings,
    /// Counts patients by programme, and names none.
    ReadOverview,
    /// Lists the patients of a programme by name, and how they are doing.
    ListPatients,
    /// Enters readings.
    EnterReadings,
    /// Marks readings as entered in error.
    CorrectReadings,
    /// Reads a care plan.
    ReadCarePlan,
    /// Changes a care plan.
    ChangeCarePlan,
    /// Tries rules on what was recorded.
    TryRules,
    /// Reads alerts, or follows them.
    ReadAlerts,
    /// Reads what somebody at the bedside has to know.
    ReadFlags,
    /// Acknowledges, assigns, comments, snoozes or closes an alert.
    WorkOnAlerts,
    /// Reads who has seen a record.
    ReadAccessLog,
    /// Reads what was refused, to anybody.
    ReadRefusals,
    /// Sees a record without a relationship, for a stated reason.
    BreakGlass,
    /// Looks into such accesses.
    ReviewBreakGlass,
    /// Reads what a patient has chosen about who may use the record.
    ReadChoices,
    /// Chooses that.
    Choose,
    /// Reads which summaries a patient shares.
    ReadShares,
    /// Shares one, or no longer.
    Share,
    /// Reads how many steps a week a patient wants to take.
    ReadStepGoal,
    /// Sets that, or ends it.
    SetStepGoal,
}

/// A FHIR resource and what is done with it, as SMART scopes name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) resource: &'static str,
    pub(crate) write: bool,
}

impl Action {
    /// Every action.
    #[cfg(test)]
    pub(crate) const ALL: &[Action] = &[
        Action::FindPatients,
        Action::ManagePatients,
        Action::EnrolPatients,
        Action::EndEnrolments,
        Action::ManageDevices,
        Action::ReadPeople,
        Action::ManagePeople,
        Action::GrantRoles,
        Action::ManageOrganisations,
        Action::ManageTokens,
        Action::ReadAdministration,
        Action::ReadRejected,
        Action::ReplayRejected,
        Action::ReadHealth,
        Action::ReadNotes,
        Action::WriteNotes,
        Action::ReadTasks,
        Action::WorkOnTasks,
        Action::ReadPatient,
        Action::ReadDevices,
        Action::ReadDeviceMetrics,
        Action::ReadProvenance,
        Action::ReadEverything,
        Action::Export,
        Action::ReadFlags,
        Action::ReadReadings,
        Action::ReadOverview,
        Action::ListPatients,
        Action::EnterReadings,
        Action::CorrectReadings,
        Action::ReadCarePlan,
        Action::ChangeCarePlan,
        Action::TryRules,
        Action::ReadAlerts,
        Action::WorkOnAlerts,
        Action::ReadAccessLog,
        Action::ReadRefusals,
        Action::BreakGlass,
        Action::ReviewBreakGlass,
        Action::ReadChoices,
        Action::Choose,
        Action::ReadShares,
        Action::Share,
        Action::ReadStepGoal,
        Action::SetStepGoal,
    ];

    /// The name in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::FindPatients => "find_patients",
            Action::ReadPatient => "read_patient",
            Action::ManagePatients => "manage_patients",
            Action::EnrolPatients => "enrol_patients",
            Action::EndEnrolments => "end_enrolments",
            Action::ManageDevices => "manage_devices",
            Action::ReadPeople => "read_people",
            Action::ManagePeople => "manage_people",
            // As the command line has it.
            Action::GrantRoles => "grant_role",
            Action::ManageOrganisations => "manage_organisations",
            Action::ManageTokens => "manage_tokens",
            Action::ReadAdministration => "read_administration",
            Action::ReadRejected => "read_rejected",
            Action::ReplayRejected => "replay_rejected",
            Action::ReadHealth => "read_health",
            Action::ReadNotes => "read_notes",
            Action::WriteNotes => "write_notes",
            Action::ReadTasks => "read_tasks",
            Action::WorkOnTasks => "work_on_tasks",
            Action::ReadDevices => "read_devices",
            Action::ReadDeviceMetrics => "read_device_metrics",
            Action::ReadProvenance => "read_provenance",
            Action::ReadEverything => "read_everything",
            Action::Export => "export",
            Action::ReadFlags => "read_flags",
            Action::ReadReadings => "read_readings",
            Action::ReadOverview => "read_overview",
            Action::ListPatients => "list_patients",
            Action::EnterReadings => "enter_readings",
            Action::CorrectReadings => "correct_readings",
            Action::ReadCarePlan => "read_care_plan",
            Action::ChangeCarePlan => "change_care_plan",
            Action::TryRules => "try_rules",
            Action::ReadAlerts => "read_alerts",
            Action::WorkOnAlerts => "work_on_alerts",
            Action::ReadAccessLog => "read_access_log",
            Action::ReadRefusals => "read_refusals",
            Action::BreakGlass => "break_glass",
            Action::ReviewBreakGlass => "review_break_glass",
            Action::ReadChoices => "read_choices",
            Action::Choose => "choose",
            Action::ReadShares => "read_shares",
            Action::Share => "share",
            Action::ReadStepGoal => "read_step_goal",
            Action::SetStepGoal => "set_step_goal",
        }
    }

    /// What somebody reads who is shown its form once more, with what is wrong: then nothing was done.
    pub(super) fn shows(self) -> Action {
        match self {
            Action::EnterReadings | Action::CorrectReadings => Action::ReadReadings,
            Action::ChangeCarePlan | Action::TryRules => Action::ReadCarePlan,
            Action::WorkOnAlerts => Action::ReadAlerts,
            Action::WorkOnTasks => Action::ReadTasks,
            Action::ManageDevices => Action::ReadDevices,
            Action::Choose => Action::ReadChoices,
            Action::Share => Action::ReadShares,
            Action::SetStepGoal => Action::ReadStepGoal,
            // At the head of every other page about a patient is who that is.
            action if action.scope().write => Action::ReadPatient,
            action => action,
        }
    }

    /// What of a patient's record it changes or shows; a token without this scope may not do it.
    pub(crate) fn scope(self) -> Scope {
        let (resource, write) = match self {
            // Of each type of an export, its own scope is asked for too.
            Action::FindPatients | Action::ReadPatient | Action::Export => ("Patient", false),
            Action::ManagePatients | Action::EnrolPatients | Action::EndEnrolments => ("Patient", true),
            Action::ManageDevices => ("Device", true),
            Action::ReadPeople => ("Practitioner", false),
            Action::ManagePeople => ("Practitioner", true),
            Action::GrantRoles => ("PractitionerRole", true),
            Action::ManageOrganisations => ("Organization", true),
            Action::ReadAdministration => ("AuditEvent", false),
            // A token that is for some resources alone makes none that is for more, and has to do with no messages.
            Action::ManageTokens | Action::ReplayRejected => ("*", true),
            Action::ReadRejected | Action::ReadHealth => ("*", false),
            Action::ReadNotes => ("DocumentReference", false),
            Action::WriteNotes => ("DocumentReference", true),
            Action::ReadTasks => ("Task", false),
            Action::WorkOnTasks => ("Task", true),
            Action::ReadDevices => ("Device", false),
            Action::ReadDeviceMetrics => ("DeviceMetric", false),
            Action::ReadProvenance => ("Provenance", false),
            // Only a scope of all resources includes that.
            Action::ReadEverything => ("*", false),
            Action::ReadFlags => ("Flag", false),
            Action::ReadReadings | Action::ReadOverview | Action::ListPatients => ("Observation", false),
            Action::EnterReadings | Action::CorrectReadings => ("Observation", true),
            Action::ReadCarePlan | Action::TryRules => ("CarePlan", false),
            Action::ChangeCarePlan => ("CarePlan", true),
            Action::ReadAlerts => ("DetectedIssue", false),
            Action::WorkOnAlerts => ("DetectedIssue", true),
            Action::ReadAccessLog | Action::ReadRefusals => ("AuditEvent", false),
            Action::ReadChoices | Action::ReadShares => ("Consent", false),
            Action::ReadStepGoal => ("Goal", false),
            Action::SetStepGoal => ("Goal", true),
            Action::BreakGlass | Action::ReviewBreakGlass | Action::Choose | Action::Share => {
                ("Consent", true)
            }
        };
        Scope { resource, write }
    }
}

/// What an action of the log means, in words for the patient: what somebody did, and what somebody tried to do.
pub(crate) fn in_words(action: &str) -> (&'static str, &'static str) {
    match action {
        "find_patients" => (
            "saw your details in a list of patients",
            "find you in a list of patients",
        ),
        "list_patients" => (
            "saw in a list of patients how you are doing on your programme",
            "see in a list of patients how you are doing on your programme",
        ),
        "manage_patients" => (
            "put down or changed who you are and which team looks after you",
            "change who you are or which team looks after you",
        ),
        "enrol_patients" => (
            "put you into the care of a team, or looked at who is",
            "put you into the care of a team",
        ),
        "replay_rejected" => (
            "had a message of your device tried once more",
            "have a message of your device tried once more",
        ),
        "end_enrolments" => (
            "noted that a team no longer looks after you",
            "note that a team no longer looks after you",
        ),
        "manage_devices" => (
            "registered, gave you or blocked a device",
            "register, give you or block a device",
        ),
        "read_notes" => ("read the notes about you", "read the notes about you"),
        "write_notes" => ("wrote a note about you", "write a note about you"),
        "read_tasks" => (
            "looked at what is to be done for you",
            "look at what is to be done for you",
        ),
        "work_on_tasks" => (
            "noted something that is to be done for you, or was",
            "note something that is to be done for you",
        ),
        "read_patient" => ("looked at your details", "look at your details"),
        "read_devices" => (
            "looked at which devices measure you",
            "look at which devices measure you",
        ),
        "read_device_metrics" => (
            "looked at what your devices measure",
            "look at what your devices measure",
        ),
        "read_provenance" => (
            "looked at where your readings and your care plan come from",
            "look at where your readings and your care plan come from",
        ),
        "enter_readings" => ("added a reading of yours", "add a reading of yours"),
        "read_everything" => (
            "took a copy of your whole record",
            "take a copy of your whole record",
        ),
        "export" => (
            "took a copy of your record along with those of others",
            "take a copy of your record along with those of others",
        ),
        "read_flags" => ("looked at your alerts", "look at your alerts"),
        "read_readings" => ("looked at your readings", "look at your readings"),
        "correct_readings" => (
            "marked one of your readings as wrong",
            "mark one of your readings as wrong",
        ),
        "read_care_plan" => ("looked at your care plan", "look at your care plan"),
        "change_care_plan" => ("changed your care plan", "change your care plan"),
        "try_rules" => (
            "tried alert rules on your past readings",
            "try alert rules on your past readings",
        ),
        "read_alerts" => ("looked at your alerts", "look at your alerts"),
        "work_on_alerts" => (
            "did something about an alert of yours",
            "do something about an alert of yours",
        ),
        "read_access_log" => (
            "looked at who has seen your record",
            "look at who has seen your record",
        ),
        "read_refusals" => (
            "looked at who was refused your record",
            "look at who was refused your record",
        ),
        "break_glass" => (
            "opened your record without a relationship",
            "open your record without a relationship",
        ),
        "review_break_glass" => (
            "checked whether opening your record was right",
            "check whether opening your record was right",
        ),
        "import_passport" => (
            "took over your record from another system",
            "take over your record from another system",
        ),
        "read_choices" => (
            "looked at who may use your record",
            "look at who may use your record",
        ),
        "choose" => ("chose who may use your record", "choose who may use your record"),
        "read_shares" => (
            "looked at which summaries you share",
            "look at which summaries you share",
        ),
        "share" => (
            "changed which summaries you share",
            "change which summaries you share",
        ),
        "read_step_goal" => ("looked at your step goal", "look at your step goal"),
        "set_step_goal" => ("set or ended your step goal", "set or end your step goal"),
        "open_share" => ("opened your shared summary", "open your shared summary"),
        "record_opt_out" => (
            "noted what the national data opt-out says of you",
            "note what the national data opt-out says of you",
        ),
        "research_sums" => (
            "counted your readings among those of many others for research",
            "count your readings among those of many others for research",
        ),
        "research_rows" => (
            "took your readings for research, without your name, NHS number, birthday and dates",
            "take your readings for research",
        ),
        "grant_role" => (
            "gave an account the right to sign in as you",
            "give an account the right to sign in as you",
        ),
        "name_proxy" => (
            "noted whom you have named to see your record",
            "note whom you have named to see your record",
        ),
        _ => ("did something with your record", "do something with your record"),
    }
}
