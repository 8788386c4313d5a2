//! Events of a traced user as text: one block a step, everything of it indented below.

use anyhow::Result;
use plimsoll_engine::{Part, TraceEvent};
use plimsoll_slo::{class_name, text};

use crate::exit::Exit;
use crate::out::print;

/// Tells what happens and remembers whether anything went wrong.
pub(super) struct Teller {
    coloured: bool,
    /// Most bytes of a body that are shown.
    body: usize,
    requests: u64,
    failed: u64,
    checks: u64,
    checks_failed: u64,
}

/// Colours of a terminal.
#[derive(Clone, Copy)]
enum Colour {
    Good = 32,
    Bad = 31,
    Dim = 2,
    Bold = 1,
}

impl Teller {
    pub(super) fn new(coloured: bool, body: usize) -> Self {
        Self { coloured, body, requests: 0, failed: 0, checks: 0, checks_failed: 0 }
    }

    /// Which scenario follows.
    pub(super) fn title(&self, test: &str, scenario: &str) -> Result<()> {
        print(&format!("{}\n", self.in_colour(Colour::Bold, &format!("{test}: {scenario}"))))
    }

    /// There is nobody to try it with.
    pub(super) fn unreachable(&self, why: &str) -> Result<()> {
        print(&format!("  {} {why}\n", self.in_colour(Colour::Bad, "target unreachable:")))
    }

    /// It could not be carried through.
    pub(super) fn broken(&self, why: &str) -> Result<()> {
        print(&format!("  {} {why}\n", self.in_colour(Colour::Bad, "given up:")))
    }

    /// The last line, and what it means for the exit code.
    pub(super) fn sum(&self) -> Result<Exit> {
        let Self { requests, failed, checks, checks_failed, .. } = self;
        let good = *failed == 0 && *checks_failed == 0;
        let parts = [
            text::counted(*requests, "request"),
            format!("{failed} failed"),
            text::counted(*checks, "check"),
            format!("{checks_failed} failed"),
        ];
        let line = format!("{}, {}; {}, {}", parts[0], parts[1], parts[2], parts[3]);
        print(&format!("{}\n", self.in_colour(if good { Colour::Good } else { Colour::Bad }, &line)))?;
        Ok(if good { Exit::Passed } else { Exit::Failed })
    }

    /// Tells one event.
    pub(super) fn tell(&mut self, event: &TraceEvent) -> Result<()> {
        let told = match event {
            TraceEvent::Part(part) => format!("  {}\n", self.in_colour(Colour::Bold, &part_name(*part))),
            TraceEvent::Step { at, name } => {
                format!("    {}  {}\n", self.in_colour(Colour::Bold, name), self.in_colour(Colour::Dim, at))
            }
            TraceEvent::Skipped { at, why } => self.line(Colour::Dim, "-", &format!("skipped: {why}  {at}")),
            TraceEvent::Request { text } => {
                self.requests += 1;
                self.block(">", text)
            }
            TraceEvent::Response { status, headers, body, latency } => {
                self.response(*status, headers, body, *latency)
            }
            TraceEvent::Failed { class, cause } => {
                self.failed += 1;
                self.line(Colour::Bad, "✗", &format!("failed: {}: {cause}", class_name(*class)))
            }
            TraceEvent::Check { name, passed, why } => {
                self.checks += 1;
                self.checks_failed += u64::from(!passed);
                let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                let (colour, mark) = if *passed { (Colour::Good, "✓") } else { (Colour::Bad, "✗") };
                self.line(colour, mark, &format!("check {name}{why}"))
            }
            TraceEvent::Fault { name, message } => {
                self.checks += 1;
                self.checks_failed += 1;
                self.line(Colour::Bad, "✗", &format!("{name}: {message}"))
            }
            TraceEvent::Captured { name, value } => {
                self.line(Colour::Dim, "=", &format!("user.{name} = {}", self.cut(value)))
            }
            TraceEvent::Measured { name, value } => self.line(Colour::Dim, "+", &format!("{name}: {value}")),
            TraceEvent::Message { sent, text } => self.block(if *sent { ">" } else { "<" }, text),
            TraceEvent::Pause { length, why } => {
                self.line(Colour::Dim, "…", &format!("{why} {}", text::duration(*length)))
            }
            TraceEvent::Ended { name, how, length } => {
                let colour = if *how == "Done" { Colour::Good } else { Colour::Bad };
                self.line(colour, "=", &format!("{name}: {how} after {}", text::duration(*length)))
            }
        };
        print(&told)
    }

    fn response(&self, status: u16, headers: &[(String, String)], body: &str, latency: u64) -> String {
        let mut message = format!("{status} in {}\n", text::duration(latency));
        for (name, value) in headers {
            message += &format!("{name}: {value}\n");
        }
        if !body.is_empty() {
            message += &format!("\n{body}");
        }
        self.block("<", &message)
    }

    /// A message of several lines, each marked with where it went.
    fn block(&self, mark: &str, message: &str) -> String {
        let (head, body) =
            message.split_once("\r\n\r\n").or_else(|| message.split_once("\n\n")).unwrap_or((message, ""));
        let mut lines: String =
            self.cut(head).lines().map(|line| self.line(Colour::Dim, mark, line.trim_end())).collect();
        if !body.is_empty() {
            lines += &self.line(Colour::Dim, mark, "");
            lines.extend(self.cut(body).lines().map(|line| self.line(Colour::Dim, mark, line)));
        }
        lines
    }

    fn line(&self, colour: Colour, mark: &str, text: &str) -> String {
        let text: String =
            text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        format!("      {} {text}\n", self.in_colour(colour, mark))
    }

    /// The beginning of a text, and how much was left out.
    fn cut(&self, text: &str) -> String {
        let end = text.floor_char_boundary(self.body);
        match text.len() - end {
            0 => text.to_owned(),
            more => format!("{}… {more} bytes more (--body {} shows them)", &text[..end], text.len()),
        }
    }

    fn in_colour(&self, colour: Colour, text: &str) -> String {
        if self.coloured { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }
}

fn part_name(part: Part) -> String {
    match part {
        Part::Setup => "setup".to_owned(),
        Part::Start => "onStart".to_owned(),
        Part::Iteration(n) => format!("iteration {n}"),
        Part::Stop => "onStop".to_owned(),
        Part::Timeline(n) => format!("timeline[{n}]"),
        Part::Teardown => "teardown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_target_says_moves_the_cursor() {
        let teller = Teller::new(false, 100);
        assert_eq!(
            teller.block("<", "200\nx: a\x1b[2J\n\nb\r\nc"),
            "      < 200\n      < x: a\u{fffd}[2J\n      < \n      < b\n      < c\n"
        );
    }

    #[test]
    fn long_bodies_are_cut_at_a_character() {
        let teller = Teller::new(false, 3);
        assert_eq!(teller.cut("aäöü"), "aä… 4 bytes more (--body 7 shows them)");
        assert_eq!(teller.cut("aä"), "aä");
    }
}
