//! Draws a dashboard from what Prometheus really answers, without Grafana: `picture.html` reads the same JSON model, chromium makes a
//! picture of it. For people who change dashboards, and for tests of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::ask::{Api, Span, ask};
use super::committed;
use super::queries::{Query, list, panels, text};
use crate::{process, tools};

const PAGE: &str = include_str!("picture.html");
const BROWSER: &str = "chromium-headless-shell";
/// Picture elements of the page's width, and of a row of the grid.
const WIDTH: u64 = 1600;
const ROW: u64 = 36;

/// Draws every dashboard into a folder; returns the pictures.
///
/// # Errors
/// If Prometheus or the browser fails.
pub fn draw_all(
    api: Api<'_>,
    values: &BTreeMap<String, String>,
    span: Span,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let folder = folder.canonicalize()?;
    committed()?.iter().map(|(name, dashboard)| draw(api, name, dashboard, values, span, &folder)).collect()
}

fn draw(
    api: Api<'_>,
    name: &str,
    dashboard: &Value,
    values: &BTreeMap<String, String>,
    span: Span,
    folder: &Path,
) -> Result<PathBuf> {
    let data = json!({
        "dashboard": dashboard, "answers": answers(api, dashboard, values, span)?, "chosen": values,
        "span": {"from": span.from, "to": span.to, "step": span.step},
    });
    // Inside of a script nothing may look like its end.
    let data = data.to_string().replace("</", "<\\/");
    let page = folder.join(format!("{name}.html"));
    std::fs::write(&page, PAGE.replacen("DATA", &data, 1))
        .with_context(|| format!("write {}", page.display()))?;
    let picture = folder.join(format!("{name}.png"));
    let bottom = |panel: &&Value| {
        panel["gridPos"]["y"].as_u64().zip(panel["gridPos"]["h"].as_u64()).map(|(y, h)| y + h)
    };
    // Rows that are closed are drawn open.
    let closed: u64 = list(dashboard, "panels")
        .iter()
        .flat_map(|row| list(row, "panels"))
        .filter_map(|p| p["gridPos"]["h"].as_u64())
        .max()
        .unwrap_or(0);
    let height = (panels(dashboard).iter().filter_map(bottom).max().unwrap_or(10) + closed) * ROW + 80;
    let mut browser = Command::new(tools::find(BROWSER)?);
    browser.args(["--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=5000"]);
    browser.arg(format!("--user-data-dir={}", folder.join("browser").display()));
    browser.arg(format!("--window-size={WIDTH},{height}"));
    browser.arg(format!("--screenshot={}", picture.display())).arg(format!("file://{}", page.display()));
    process::output(&mut browser)?;
    Ok(picture)
}

/// Answers by panel and query, and the marks of the annotations.
fn answers(api: Api<'_>, dashboard: &Value, values: &BTreeMap<String, String>, span: Span) -> Result<Value> {
    let mut answers = serde_json::Map::new();
    for panel in panels(dashboard) {
        for target in list(panel, "targets") {
            let query = Query {
                place: text(&panel["title"]),
                text: text(&target["expr"]),
                instant: target["instant"] == true,
                may_be_empty: true,
            };
            let series = ask(api, &query, values, span)?;
            // JSON has no infinity; a text is read as a number again.
            let series = series.iter().map(|series| {
                let points = series.points.iter().map(|(at, value)| {
                    if value.is_finite() {
                        json!([at, value])
                    } else {
                        json!([at, if *value > 0.0 { "Infinity" } else { "-Infinity" }])
                    }
                });
                json!({"labels": series.labels, "points": points.collect::<Vec<_>>()})
            });
            answers.insert(format!("{}{}", panel["id"], text(&target["refId"])), series.collect());
        }
    }
    let mut marks = Vec::new();
    for mark in list(&dashboard["annotations"], "list") {
        let query = Query {
            place: text(&mark["name"]),
            text: text(&mark["expr"]),
            instant: false,
            may_be_empty: true,
        };
        for series in ask(api, &query, values, span)? {
            let times = series
                .points
                .iter()
                .map(|(_, millis)| json!({"at": millis / 1000.0, "colour": mark["iconColor"]}));
            marks.extend(times.take(1));
        }
    }
    answers.insert("marks".to_owned(), json!(marks));
    Ok(Value::Object(answers))
}
