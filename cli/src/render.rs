//! `plimsoll render`: the objects that the operator would apply for a test, or its plan in words (`render/words.rs`, `render/script.rs`).

mod script;
mod words;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use plimsoll_api::v1alpha1::{LoadTestRun, LoadTestRunSpec, TestRef};
use plimsoll_api::{Resolved, spec_hash, to_yaml};
use plimsoll_manifests::{OPERATOR_PORT, Settings, build, network_policy};

use crate::args::RenderArgs;
use crate::exit::Exit;
use crate::input::{Asked, load};
use crate::out::print;

/// Prints what the input's tests amount to.
pub(crate) fn render(args: &RenderArgs) -> Result<Exit> {
    let input = load(&args.input)?;
    let mut documents = Vec::new();
    for asked in input.asked()? {
        let resolved = asked.lower(&input.references).map_err(|errors| asked.refused(&errors))?;
        if args.plan {
            documents.push(words::plan(&resolved));
        } else {
            documents.extend(objects(&asked, &resolved, args)?);
        }
    }
    print(&documents.join(if args.plan { "\n" } else { "---\n" }))?;
    Ok(Exit::Passed)
}

/// ConfigMap and Job of a run, as YAML.
fn objects(asked: &Asked<'_>, resolved: &Resolved, args: &RenderArgs) -> Result<Vec<String>> {
    let host = format!("plimsoll-operator.{}.svc", args.operator_namespace);
    let settings = Settings {
        operator_address: format!("{host}:{OPERATOR_PORT}"),
        operator_name: host,
        operator_namespace: args.operator_namespace.clone(),
        ..Settings::default()
    };
    let hash = spec_hash(&asked.test.spec);
    let objects = build(&run_of(asked, resolved), resolved, hash, &settings)?;
    let mut documents = vec![to_yaml(&objects.plan)?, to_yaml(&objects.job)?];
    if args.network_policy {
        documents.push(to_yaml(&network_policy(&resolved.plan, &resolved.spec, &settings))?);
    }
    Ok(documents)
}

/// The LoadTestRun that the operator would make, or the one of the input.
pub(crate) fn run_of(asked: &Asked<'_>, resolved: &Resolved) -> LoadTestRun {
    let id = &resolved.plan.run;
    let metadata = ObjectMeta {
        name: Some(id.name.clone()),
        namespace: Some(id.namespace.clone()),
        ..ObjectMeta::default()
    };
    let spec = match asked.run {
        Some((run, _)) => run.spec.clone(),
        None => LoadTestRunSpec { test_ref: TestRef { name: id.test.clone() }, ..LoadTestRunSpec::default() },
    };
    LoadTestRun { metadata, spec, status: None }
}
