//! Takes what pages load, as `scripts/web-assets.sh` has built it, into the program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo says where it is")).join("web/dist");
    let manifest = dist.join("manifest.json");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let Ok(manifest) = fs::read(manifest) else {
        println!(
            "cargo::error=the styles and scripts of the pages are not built yet: run scripts/web-assets.sh"
        );
        return;
    };
    let files: BTreeMap<String, String> =
        serde_json::from_slice(&manifest).expect("the manifest names files");
    let mut code = String::from("[\n");
    for (name, file) in files {
        let path = dist.join(&file);
        let path = path.display();
        writeln!(
            code,
            "Asset {{ name: {name:?}, file: {file:?}, plain: include_bytes!(\"{path}\"), \
             brotli: include_bytes!(\"{path}.br\") }},"
        )
        .expect("a string takes all");
    }
    code.push(']');
    let out = env::var("OUT_DIR").expect("cargo says where to");
    fs::write(Path::new(&out).join("assets.rs"), code).expect("the folder is there");
}
