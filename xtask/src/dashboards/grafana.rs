//! Grafana's classic JSON model of the dashboards that `model.rs` describes, panels laid out on its grid.

use serde_json::{Value, json};

use super::model::{Dashboard, Kind, Panel, Target};

/// Width of Grafana's grid.
const COLUMNS: u32 = 24;

impl Panel {
    fn json(&self, id: u32, at: (u32, u32)) -> Value {
        let kind = match self.kind {
            Kind::Series => "timeseries",
            Kind::Stat => "stat",
            Kind::Table => "table",
            Kind::Timeline => "state-timeline",
            Kind::Text => "text",
        };
        let mut defaults = self.defaults.clone();
        defaults["unit"] = json!(self.unit);
        let targets: Vec<Value> =
            self.targets.iter().zip('A'..='Z').map(|(target, id)| target.json(id, self.kind)).collect();
        json!({
            "id": id, "type": kind, "title": self.title, "description": self.description, "datasource": source(),
            "gridPos": {"x": at.0, "y": at.1, "w": self.size.0, "h": self.size.1},
            "fieldConfig": {"defaults": defaults, "overrides": self.overrides},
            "options": self.options, "targets": targets, "transformations": self.transformations,
        })
    }
}

impl Target {
    fn json(&self, id: char, kind: Kind) -> Value {
        let format = if kind == Kind::Table { "table" } else { "time_series" };
        json!({
            "refId": id.to_string(), "datasource": source(), "editorMode": "code", "expr": self.query, "legendFormat": self.legend,
            "range": !self.instant, "instant": self.instant, "format": format,
        })
    }
}

/// The data source that is chosen above.
pub(super) fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Dashboard {
    /// The classic JSON model.
    pub(super) fn json(&self) -> Value {
        let (mut panels, mut id, mut y) = (Vec::new(), 0, 0);
        for row in &self.rows {
            id += 1;
            let heading = id;
            let (inner, below) = place(&row.panels, &mut id, y + 1);
            let kept = if row.collapsed { inner.clone() } else { Vec::new() };
            panels.push(json!({
                "id": heading, "type": "row", "title": row.title, "collapsed": row.collapsed, "panels": kept,
                "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
            }));
            if row.collapsed {
                y += 1;
            } else {
                panels.extend(inner);
                y = below;
            }
        }
        json!({
            "uid": self.uid, "title": self.title, "description": self.description, "tags": ["plimsoll"], "schemaVersion": 39,
            "editable": true, "graphTooltip": 1, "timezone": "browser", "refresh": self.refresh,
            "time": {"from": self.from, "to": "now"}, "timepicker": {}, "fiscalYearStartMonth": 0,
            "templating": {"list": self.variables}, "annotations": {"list": self.annotations},
            "links": [{
                "title": "Plimsoll", "type": "dashboards", "tags": ["plimsoll"], "asDropdown": true, "includeVars": true,
                "keepTime": false, "targetBlank": false, "icon": "external link", "tooltip": "The other dashboards of Plimsoll", "url": "",
            }],
            "panels": panels,
        })
    }
}

/// Panels from left to right, and below each other where a line is full; and the first free line.
fn place(panels: &[Panel], id: &mut u32, top: u32) -> (Vec<Value>, u32) {
    let (mut placed, mut x, mut y, mut height) = (Vec::new(), 0, top, 0);
    for panel in panels {
        if x + panel.size.0 > COLUMNS {
            (x, y, height) = (0, y + height, 0);
        }
        *id += 1;
        placed.push(panel.json(*id, (x, y)));
        x += panel.size.0;
        height = height.max(panel.size.1);
    }
    (placed, y + height)
}
