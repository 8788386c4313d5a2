//! What must be kept of responses.

use super::*;

fn needs_of(steps: Vec<Step>) -> Vec<(Needs, bool)> {
    let bound = bind(&self::steps(steps), &[]).unwrap();
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    steps.iter().map(|step| (step.needs, step.keeps_last)).collect()
}

const NOTHING: Needs = Needs { response: false, body: false, headers: false, message: false };
const RESPONSE: Needs = Needs { response: true, ..NOTHING };
const BODY: Needs = Needs { body: true, ..RESPONSE };

fn look(expr: &str) -> Step {
    Step { checks: vec![check("c", expr, 0)], ..step(StepAction::Nothing) }
}

#[test]
fn a_step_needs_what_its_own_afterwork_reads() {
    let with = |checks: Vec<Check>| Step { checks, ..get("/") };
    assert_eq!(needs_of(vec![get("/")]), [(NOTHING, false)]);
    assert_eq!(needs_of(vec![with(vec![check("c", "status == 200", 0)])]), [(RESPONSE, false)]);
    assert_eq!(needs_of(vec![with(vec![check("c", "body.a == 1", 0)])]), [(BODY, false)]);
    assert_eq!(needs_of(vec![with(vec![check("c", "text.contains('a')", 0)])]), [(BODY, false)]);
    let headers = Needs { headers: true, ..RESPONSE };
    assert_eq!(needs_of(vec![with(vec![check("c", "headers['x'] == 'a'", 0)])]), [(headers, false)]);
    assert_eq!(needs_of(vec![with(vec![check("c", "run.user == 1", 0)])]), [(RESPONSE, false)]);
    let that = HttpStep { that: Some("body.ok".into()), ..http("/") };
    assert_eq!(needs_of(vec![step(StepAction::Http(Box::new(that)))]), [(BODY, false)]);
}

#[test]
fn only_the_last_response_before_a_reader_is_kept() {
    let kept = needs_of(vec![get("/a"), get("/b"), look("body.x == 1"), get("/c")]);
    assert_eq!(kept, [(NOTHING, false), (BODY, true), (NOTHING, false), (NOTHING, false)]);
}

#[test]
fn a_step_that_may_be_skipped_leaves_the_response_before_it() {
    let maybe = Step { chance: Some(5), ..get("/b") };
    assert_eq!(
        needs_of(vec![get("/a"), maybe, look("status == 200")]),
        [(RESPONSE, true), (RESPONSE, true), (NOTHING, false)]
    );
    let when = Step { when: Some(condition("status == 404")), ..get("/b") };
    assert_eq!(needs_of(vec![get("/a"), when]), [(RESPONSE, true), (NOTHING, false)]);
}

#[test]
fn the_next_iteration_may_read_the_last_response() {
    let kept = needs_of(vec![look("body.x == 1"), get("/a"), get("/b")]);
    assert_eq!(kept, [(NOTHING, false), (NOTHING, false), (BODY, true)]);
    let ends = Step { on_failure: OnFailure::EndIteration, ..get("/a") };
    let kept = needs_of(vec![look("body.x == 1"), ends, get("/b")]);
    assert_eq!(kept, [(NOTHING, false), (BODY, true), (BODY, true)]);
}

#[test]
fn flows_read_and_keep_like_the_steps_around_them() {
    let flow = step(StepAction::Run(vec![look("body.x == 1"), get("/in")]));
    assert_eq!(needs_of(vec![get("/a"), flow.clone()])[0], (BODY, true));
    let bound = bind(&steps(vec![Step { repeat: Some(Repeat { times: 2, gap: 0 }), ..flow }]), &[]).unwrap();
    let CompiledAction::Steps(steps) = &bound.scenarios[0].action else { panic!("tasks") };
    let CompiledStepAction::Run(flow) = &steps[0].action else { panic!("no flow") };
    assert!(flow[1].keeps_last && flow[1].needs == BODY);
}

#[test]
fn polls_and_sessions_need_what_decides_them() {
    let poll = PollStep {
        http: http("/job"),
        every: 1,
        limit: 9,
        done: condition("body.state == 'done'"),
        failed: None,
        metric: 0,
    };
    assert_eq!(needs_of(vec![step(StepAction::Poll(Box::new(poll)))]), [(BODY, false)]);
    let sse = SseStep {
        http: http("/events"),
        until: Some(condition("message.data.end && status == 200")),
        limit: 1,
        reading: Reading::default(),
        captures: vec![],
        metrics: StreamMetrics::default(),
    };
    let stream = step(StepAction::Sse(Box::new(sse)));
    assert_eq!(needs_of(vec![stream.clone()]), [(RESPONSE, false)]);
    let judged = Step { checks: vec![check("c", "message.data.n == 1", 0)], ..stream };
    assert_eq!(needs_of(vec![judged]), [(Needs { message: true, ..RESPONSE }, false)]);
}
