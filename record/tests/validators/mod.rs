//! Two validators of FHIR R4 that share no code with ours or with each other: the npm package `fhir` and the Python package
//! `fhirkit`. `scripts/test-tools.sh` installs them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What a validator says of the resources: a line for each fault, none where all are right.
pub(crate) fn faults(validator: &Validator, resources: &[Value]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resources.ndjson");
    let lines: Vec<_> = resources.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let program = validator.program.as_path();
    let output = Command::new(program)
        .args(["-", path.to_str().unwrap()])
        .env("NODE_PATH", root().join("target/test-tools-npm/node_modules"))
        .stdin(validator.script(folder.path()))
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{} does not start ({error}): run scripts/test-tools.sh",
                program.display()
            )
        });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {told} (run scripts/test-tools.sh)",
        program.display()
    );
    let said = String::from_utf8(output.stdout).unwrap();
    let (count, faults) = said.split_once('\n').unwrap();
    assert_eq!(count, resources.len().to_string(), "it judged each");
    faults.to_owned()
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A validator: a program that reads its script from standard input.
pub(crate) struct Validator {
    pub(crate) program: std::path::PathBuf,
    script: &'static str,
}

impl Validator {
    /// Knows the value sets. What it does not know, it says as a warning.
    pub(crate) fn fhir() -> Validator {
        Validator {
            program: "node".into(),
            script: r"
                const { Fhir } = require('fhir');
                const lines = require('fs').readFileSync(process.argv[2], 'utf8').split('\n');
                console.log(lines.length);
                const fhir = new Fhir();
                for (const line of lines) {
                    const resource = JSON.parse(line);
                    for (const message of fhir.validate(resource, { errorOnUnexpected: true }).messages)
                        if (['error', 'fatal'].includes(message.severity))
                            console.log(resource.resourceType, message.location, message.message);
                }",
        }
    }

    /// Knows every element and type.
    pub(crate) fn fhirkit() -> Validator {
        Validator {
            program: root().join("target/test-tools/bin/python"),
            script: r"
import fhirkit, sys
lines = open(sys.argv[1]).read().split('\n')
print(len(lines))
for line in lines:
    for issue in fhirkit.validate(line):
        print(issue)
",
        }
    }

    fn script(&self, folder: &Path) -> std::fs::File {
        let path = folder.join("script");
        std::fs::write(&path, self.script).unwrap();
        std::fs::File::open(path).unwrap()
    }
}
