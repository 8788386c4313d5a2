//! Container images: one static program from scratch each, by the work tree's `Dockerfile`. buildah builds them without
//! a daemon; `cluster/` imports the archives. The programs come from `binaries.rs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binaries::{self, Profile};
use crate::cluster::Cluster;
use crate::report::step;
use crate::{paths, process, tools};

/// An image, named like the package that its program is from.
#[derive(Debug)]
pub struct Image {
    /// The stage of the `Dockerfile`, for `--target`.
    pub stage: &'static str,
    /// The image and the package.
    pub name: &'static str,
    /// The program.
    pub program: &'static str,
}

/// All images.
pub const IMAGES: [Image; 3] = [
    Image { stage: "operator", name: "plimsoll-operator", program: "plimsoll-operator" },
    Image { stage: "worker", name: "plimsoll-worker", program: "plimsoll-worker" },
    Image { stage: "testbed", name: "plimsoll-testbed", program: "testbed" },
];

impl Image {
    /// Its reference: the tag is the version of the workspace, which is the chart's too.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, env!("CARGO_PKG_VERSION"))
    }

    /// Where its archive is put.
    pub fn archive(&self) -> PathBuf {
        paths::cache().join("images").join(format!("{}.tar", self.name))
    }
}

/// Compiles and packs all images, and imports them if our own cluster is up.
///
/// # Errors
/// If something does not compile, pack or import.
pub fn all(profile: Profile) -> Result<()> {
    tools::require(&["buildah"])?;
    let packages = IMAGES.map(|image| image.name);
    let programs = step(&format!("programs ({profile:?})"), || binaries::build(&packages, profile))?;
    for image in &IMAGES {
        step(&format!("image {}", image.reference()), || {
            let program = programs.get(image.program);
            let program =
                program.with_context(|| format!("{} has no program {}", image.name, image.program))?;
            pack(image, program)
        })?;
    }
    match Cluster::find() {
        Ok(cluster) if cluster.is_own() => import(&cluster),
        Ok(cluster) => {
            println!(
                "    {} names a cluster made elsewhere: load the archives into it:",
                cluster.kubeconfig().display()
            );
            IMAGES.iter().for_each(|image| println!("      {}", image.archive().display()));
            Ok(())
        }
        Err(_) => {
            println!("    no cluster is up; the archives are in {}", paths::cache().join("images").display());
            Ok(())
        }
    }
}

/// Imports the archives that [`all`] made into a cluster.
///
/// # Errors
/// If the cluster is not our own, or there is no archive.
pub fn import(cluster: &Cluster) -> Result<()> {
    step("import of the images", || IMAGES.iter().try_for_each(|image| cluster.import(&image.archive())))
}

/// Packs one image around a compiled program.
///
/// # Errors
/// If the program is not static or buildah fails.
pub fn pack(image: &Image, program: &Path) -> Result<()> {
    require_static(program)?;
    // A folder with this one file, so that buildah has little to look at.
    let context = paths::cache().join("images").join(format!("{}.context", image.name));
    std::fs::create_dir_all(&context).with_context(|| format!("make {}", context.display()))?;
    std::fs::copy(program, context.join(image.program))
        .with_context(|| format!("copy {}", program.display()))?;
    let dockerfile = paths::root().join("Dockerfile");
    let built = build(&dockerfile, Some(image.stage), &context, &image.reference(), &image.archive());
    std::fs::remove_dir_all(&context)?;
    built
}

/// Builds an image by buildah and writes it as a docker archive.
///
/// # Errors
/// If buildah fails.
pub fn build(
    dockerfile: &Path,
    stage: Option<&str>,
    context: &Path,
    name: &str,
    archive: &Path,
) -> Result<()> {
    let folder = archive.parent().context("the archive's path has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let store = folder.join(format!("buildah-{}", std::process::id()));
    let partial = archive.with_extension("partial");
    let built = build_in(&store, dockerfile, stage, context, name, &partial);
    if store.exists() {
        std::fs::remove_dir_all(&store)?;
    }
    built?;
    std::fs::rename(&partial, archive).with_context(|| format!("write {}", archive.display()))
}

fn build_in(
    store: &Path,
    dockerfile: &Path,
    stage: Option<&str>,
    context: &Path,
    name: &str,
    archive: &Path,
) -> Result<()> {
    let buildah = || -> Result<Command> {
        let mut command = Command::new(tools::find("buildah")?);
        command.arg("--root").arg(store.join("root")).arg("--runroot").arg(store.join("run"));
        command.args(["--storage-driver", "vfs"]);
        Ok(command)
    };
    let mut bud = buildah()?;
    bud.args(["build-using-dockerfile", "--isolation", "chroot", "--tag", name]);
    if let Some(stage) = stage {
        bud.args(["--target", stage]);
    }
    process::output(bud.arg("--file").arg(dockerfile).arg(context))?;
    // An archive is written once and never over.
    if archive.exists() {
        std::fs::remove_file(archive)?;
    }
    process::output(
        buildah()?.args(["push", name]).arg(format!("docker-archive:{}:{name}", archive.display())),
    )
    .map(drop)
}

/// Refuses a program that needs a dynamic loader: in an image from scratch there is none, and the container's only word
/// would be "no such file or directory".
///
/// # Errors
/// If it does, or is no program at all.
pub fn require_static(program: &Path) -> Result<()> {
    let bytes = std::fs::read(program).with_context(|| format!("read {}", program.display()))?;
    if !bytes.starts_with(b"\x7fELF") {
        bail!("{} is no Linux program", program.display());
    }
    // The path of the loader stands in a segment near the start of the file.
    let start = &bytes[..bytes.len().min(4096)];
    let loaders: [&[u8]; 3] = [b"/ld-linux", b"/ld-musl", b"/ld64.so"];
    if loaders.iter().any(|loader| start.windows(loader.len()).any(|part| part == *loader)) {
        bail!("{} is linked dynamically; .cargo/config.toml makes static programs", program.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_static_programs_are_packed() {
        // Tests are linked as the programs are.
        require_static(&std::env::current_exe().unwrap()).unwrap();
        let error = require_static(Path::new("/etc/hostname")).unwrap_err().to_string();
        assert!(error.contains("no Linux program"), "{error}");
        let shell = std::fs::canonicalize("/bin/sh").unwrap();
        if !shell.ends_with("busybox") {
            let error = require_static(&shell).unwrap_err().to_string();
            assert!(error.contains("linked dynamically"), "{error}");
        }
    }

    #[test]
    fn every_image_is_a_stage_with_its_program() {
        let dockerfile = std::fs::read_to_string(paths::root().join("Dockerfile")).unwrap();
        for image in &IMAGES {
            assert!(dockerfile.contains(&format!("AS {}\n", image.stage)), "{}", image.stage);
            assert!(
                dockerfile.contains(&format!("ENTRYPOINT [\"/{}\"]", image.program)),
                "{}",
                image.program
            );
        }
    }
}
