//! The variables of a kind of user: what its steps, wherever they are run, declare.

use crate::model::{Action, Assign, Scenario, Step, StepAction, WebSocketAction};

/// Names of the variables of a scenario's users, each once: state, then captures in the order of the steps.
pub(super) fn of_scenario(scenario: &Scenario) -> Vec<&str> {
    let mut names = Vec::new();
    add(&scenario.state, &mut names);
    of_steps(&scenario.on_start, &mut names);
    match &scenario.action {
        Action::Steps(steps) => of_steps(steps, &mut names),
        Action::Tasks(tasks) => tasks.iter().for_each(|task| of_steps(&task.steps, &mut names)),
    }
    of_steps(&scenario.on_stop, &mut names);
    names
}

/// Adds what these steps capture.
pub(super) fn of_steps<'a>(steps: impl IntoIterator<Item = &'a Step>, names: &mut Vec<&'a str>) {
    for step in steps {
        match &step.action {
            StepAction::Run(steps) => of_steps(steps, names),
            StepAction::Sse(sse) => add(&sse.captures, names),
            StepAction::WebSocket(socket) => {
                for action in &socket.script {
                    if let WebSocketAction::Receive { captures, .. } = action {
                        add(captures, names);
                    }
                }
            }
            StepAction::Http(_) | StepAction::Poll(_) | StepAction::Pause(_) | StepAction::Nothing => {}
        }
        add(&step.captures, names);
    }
}

fn add<'a>(assigns: &'a [Assign], names: &mut Vec<&'a str>) {
    for Assign { name, .. } in assigns {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
}
