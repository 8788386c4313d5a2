//! What a dashboard is to us, in as few words as describe it. The dashboards themselves are in the files beside this one; `grafana.rs`
//! makes Grafana's JSON of them.

use serde_json::{Value, json};

/// A dashboard.
pub(super) struct Dashboard {
    /// Its identifier in URLs, and the name of its file.
    pub(super) uid: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// What is shown when nothing is chosen: `now-1h`.
    pub(super) from: &'static str,
    pub(super) refresh: &'static str,
    pub(super) variables: Vec<Value>,
    pub(super) annotations: Vec<Value>,
    pub(super) rows: Vec<Row>,
}

/// Panels under a heading.
pub(super) struct Row {
    pub(super) title: &'static str,
    pub(super) collapsed: bool,
    pub(super) panels: Vec<Panel>,
}

/// A panel.
pub(super) struct Panel {
    pub(super) kind: Kind,
    pub(super) title: &'static str,
    /// What it shows and how to read it. If it may be empty, a sentence that begins with `Empty` says why.
    pub(super) description: String,
    /// Grafana's name of the unit: `s`, `percentunit`, `reqps`.
    pub(super) unit: &'static str,
    /// Columns and rows of the grid.
    pub(super) size: (u32, u32),
    pub(super) targets: Vec<Target>,
    pub(super) defaults: Value,
    pub(super) overrides: Vec<Value>,
    pub(super) options: Value,
    pub(super) transformations: Vec<Value>,
}

/// How a panel is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Series,
    Stat,
    Table,
    Timeline,
    Text,
}

/// A query and the legend of what it answers.
pub(super) struct Target {
    pub(super) query: String,
    pub(super) legend: String,
    /// One moment in place of a range.
    pub(super) instant: bool,
}

/// A row that is open.
pub(super) fn row(title: &'static str, panels: Vec<Panel>) -> Row {
    Row { title, collapsed: false, panels }
}

/// A row that a click opens.
pub(super) fn closed_row(title: &'static str, panels: Vec<Panel>) -> Row {
    Row { title, collapsed: true, panels }
}

/// A panel of lines over time.
pub(super) fn series(title: &'static str, unit: &'static str, description: &str) -> Panel {
    let mut panel = panel(Kind::Series, title, unit, description, (12, 8));
    panel.defaults = json!({
        "color": {"mode": "palette-classic"}, "min": 0,
        "custom": {"drawStyle": "line", "lineWidth": 2, "fillOpacity": 8, "showPoints": "auto", "pointSize": 4, "spanNulls": false,
                   "stacking": {"mode": "none", "group": "A"}, "axisPlacement": "auto"},
    });
    panel.options = json!({
        "legend": {"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": ["lastNotNull", "max"]},
        "tooltip": {"mode": "multi", "sort": "desc"},
    });
    panel
}

/// A panel of one or a few large numbers or words.
pub(super) fn stat(title: &'static str, unit: &'static str, description: &str) -> Panel {
    let mut panel = panel(Kind::Stat, title, unit, description, (4, 4));
    panel.defaults = json!({"color": {"mode": "thresholds"}, "thresholds": steps(&[("text", None)]), "mappings": [], "noValue": "–"});
    panel.options = json!({
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
        "textMode": "auto", "colorMode": "value", "graphMode": "none", "justifyMode": "center", "orientation": "auto",
    });
    panel
}

/// A table; the answers of its queries are one row where the labels that all of them have are equal.
pub(super) fn table(title: &'static str, description: &str) -> Panel {
    let mut panel = panel(Kind::Table, title, "short", description, (24, 8));
    panel.defaults = json!({"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": true}, "noValue": "–"});
    panel.options = json!({"showHeader": true, "cellHeight": "sm"});
    panel.transformations = vec![json!({"id": "merge", "options": {}})];
    panel
}

/// A panel of states over time, a line each.
pub(super) fn timeline(title: &'static str, states: &[(u32, &str, &str)], description: &str) -> Panel {
    let mut panel = panel(Kind::Timeline, title, "none", description, (24, 8));
    panel.defaults = json!({
        "color": {"mode": "thresholds"}, "thresholds": steps(&[("text", None)]), "mappings": [mapping(states)],
        "custom": {"fillOpacity": 80, "lineWidth": 0, "spanNulls": false},
    });
    panel.options = json!({
        "mergeValues": true, "showValue": "auto", "alignValue": "left", "rowHeight": 0.85,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true}, "tooltip": {"mode": "single", "sort": "none"},
    });
    panel
}

/// A panel of words.
pub(super) fn text(title: &'static str, description: &str, markdown: &str) -> Panel {
    let mut panel = panel(Kind::Text, title, "none", description, (24, 5));
    panel.options = json!({"mode": "markdown", "content": markdown});
    panel
}

fn panel(kind: Kind, title: &'static str, unit: &'static str, description: &str, size: (u32, u32)) -> Panel {
    Panel {
        kind,
        title,
        description: description.to_owned(),
        unit,
        size,
        targets: Vec::new(),
        defaults: json!({}),
        overrides: Vec::new(),
        options: json!({}),
        transformations: Vec::new(),
    }
}

/// Steps of colours: the first holds from below on.
pub(super) fn steps(steps: &[(&str, Option<f64>)]) -> Value {
    let steps: Vec<Value> =
        steps.iter().map(|(color, value)| json!({"color": color, "value": value})).collect();
    json!({"mode": "absolute", "steps": steps})
}

/// A matcher of names as Grafana reads it.
fn begins_with(word: &str) -> String {
    format!("/^({word})/")
}

/// Words and colours for numbers.
fn mapping(states: &[(u32, &str, &str)]) -> Value {
    let options = states.iter().enumerate().map(|(index, (value, text, color))| {
        (value.to_string(), json!({"text": text, "color": color, "index": index}))
    });
    json!({"type": "value", "options": options.collect::<serde_json::Map<_, _>>()})
}

impl Panel {
    /// A query over the time that is shown.
    pub(super) fn ask(mut self, query: impl Into<String>, legend: &str) -> Self {
        self.targets.push(Target { query: query.into(), legend: legend.to_owned(), instant: false });
        self
    }

    /// A query at the end of the time that is shown.
    pub(super) fn ask_once(mut self, query: impl Into<String>, legend: &str) -> Self {
        self.targets.push(Target { query: query.into(), legend: legend.to_owned(), instant: true });
        self
    }

    pub(super) fn size(mut self, columns: u32, rows: u32) -> Self {
        self.size = (columns, rows);
        self
    }

    /// Numbers are shown as words.
    pub(super) fn words(mut self, states: &[(u32, &str, &str)]) -> Self {
        self.defaults["mappings"] = json!([mapping(states)]);
        self
    }

    /// Colours by value.
    pub(super) fn colours(mut self, colours: &[(&str, Option<f64>)]) -> Self {
        self.defaults["thresholds"] = steps(colours);
        self
    }

    /// The colour fills the tile.
    pub(super) fn filled(mut self) -> Self {
        self.options["colorMode"] = json!("background");
        self
    }

    /// The legend is what is shown, in the colour that the word has.
    pub(super) fn named(mut self, colours: &[(&str, &str)]) -> Self {
        self.options["textMode"] = json!("name");
        for (word, colour) in colours {
            self.overrides.push(json!({
                "matcher": {"id": "byRegexp", "options": begins_with(word)},
                "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
            }));
        }
        self
    }

    /// Name and number of each.
    pub(super) fn both_name_and_value(mut self) -> Self {
        self.options["textMode"] = json!("value_and_name");
        self
    }

    /// Series stand on each other.
    pub(super) fn stacked(mut self) -> Self {
        self.defaults["custom"]["stacking"] = json!({"mode": "normal", "group": "A"});
        self.defaults["custom"]["fillOpacity"] = json!(40);
        self
    }

    /// Steps in place of slopes, for counts.
    pub(super) fn stepped(mut self) -> Self {
        self.defaults["custom"]["lineInterpolation"] = json!("stepAfter");
        self
    }

    /// The axis reaches up to here at least, so that nothing looks like much.
    pub(super) fn reaching(mut self, value: f64) -> Self {
        self.defaults["custom"]["axisSoftMax"] = json!(value);
        self
    }

    /// Points that a line joins over the gaps between runs.
    pub(super) fn points(mut self) -> Self {
        self.defaults["custom"]["showPoints"] = json!("always");
        self.defaults["custom"]["pointSize"] = json!(7);
        self.defaults["custom"]["spanNulls"] = json!(true);
        self.defaults["custom"]["fillOpacity"] = json!(0);
        self
    }

    /// Series whose legend begins so are dashed: bounds, the baseline, what was asked.
    pub(super) fn dashed(mut self, begins: &str) -> Self {
        self.overrides.push(json!({
            "matcher": {"id": "byRegexp", "options": begins_with(begins)},
            "properties": [
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
                {"id": "custom.fillOpacity", "value": 0}, {"id": "custom.showPoints", "value": "never"},
            ],
        }));
        self
    }

    /// The columns of a table: label or query (`A`, `B` …), heading, unit. Those that are not named are hidden.
    pub(super) fn columns(mut self, columns: &[(&str, &str, &str)]) -> Self {
        let single = self.targets.len() == 1;
        let field = |name: &str| match name {
            _ if name.len() > 1 => name.to_owned(),
            _ if single => "Value".to_owned(),
            _ => format!("Value #{name}"),
        };
        let order = columns.iter().enumerate().map(|(at, (name, ..))| (field(name), json!(at)));
        let names = columns.iter().map(|(name, heading, _)| (field(name), json!(heading)));
        let kept: Vec<String> = columns.iter().map(|(name, ..)| field(name)).collect();
        self.transformations
            .push(json!({"id": "filterFieldsByName", "options": {"include": {"names": kept}}}));
        self.transformations.push(json!({"id": "organize", "options": {
            "excludeByName": {},
            "indexByName": order.collect::<serde_json::Map<_, _>>(),
            "renameByName": names.collect::<serde_json::Map<_, _>>(),
        }}));
        for (_, heading, unit) in columns.iter().filter(|(.., unit)| !unit.is_empty()) {
            self = self.column(heading, &json!([{"id": "unit", "value": unit}]));
        }
        self
    }

    /// Only rows that this query answers with.
    pub(super) fn only_rows_of(mut self, query: &str) -> Self {
        let filter =
            json!({"fieldName": format!("Value #{query}"), "config": {"id": "isNotNull", "options": {}}});
        let options = json!({"type": "include", "match": "all", "filters": [filter]});
        self.transformations.insert(1, json!({"id": "filterByValue", "options": options}));
        self
    }

    /// Properties of a column.
    pub(super) fn column(mut self, heading: &str, properties: &Value) -> Self {
        self.overrides
            .push(json!({"matcher": {"id": "byName", "options": heading}, "properties": properties}));
        self
    }

    /// Rows of a table, in the order of a column.
    pub(super) fn sorted(mut self, heading: &str, falling: bool) -> Self {
        self.options["sortBy"] = json!([{"displayName": heading, "desc": falling}]);
        self
    }

    /// Numbers of a column are shown as words.
    pub(super) fn column_words(self, heading: &str, states: &[(u32, &str, &str)]) -> Self {
        let cell = json!({"type": "color-text"});
        let properties = json!([{"id": "mappings", "value": [mapping(states)]}, {"id": "custom.cellOptions", "value": cell}]);
        self.column(heading, &properties)
    }

    /// The field config of a column leads to the dashboard of the run in its row.
    pub(super) fn leads_to_run(self, heading: &str) -> Self {
        let url = "/d/plimsoll-run/?var-datasource=${datasource}&var-namespace=${__data.fields.namespace}&var-test=${__data.fields.test}\
                   &var-run=${__data.fields.run}&${__url_time_range}";
        self.column(heading, &json!([{"id": "links", "value": [{"title": "the run", "url": url}]}]))
    }
}
