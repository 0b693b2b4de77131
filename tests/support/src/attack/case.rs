//! What a case is made of.

use serde_json::{Value, json};

use super::layer::Layer;
use crate::scripted_model::{AgentStep, FailureKind, PlanAnswer, Scenario};

/// How far a ticket comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Planning does not produce a SPEC that a person could be asked about.
    PlanRefused,
    /// It waits for a person at gate 1.
    SpecGate,
    /// It waits for a person at gate 2: what is left of the change is harmless.
    PrGate,
    /// It waits for a person at the SCOPE gate.
    ScopeGate,
    /// It is parked with this kind of failure.
    Parked(&'static str),
    /// QA refused the change as often as it may be repaired.
    QaFailed,
}

/// By what one sees that something held, or broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The agent was told this by a tool: a text within one line.
    Told(String),
    /// The output of a quality gate has this text.
    GateSaid(String),
    /// The ticket is parked, and the reason has this text.
    Failure(String),
    /// The QA report has this text.
    Reported(String),
    /// The change, as people see it, does not have this text, but there is a change.
    DiffLacks(String),
    /// The agent's model was never sent this text.
    ModelNeverSaw(String),
    /// Nobody opened this gate.
    GateStillAsks(&'static str),
    /// A request to the gateway past Pi was answered with this status.
    Answered(u16),
}

/// An HTTP request straight to the model gateway, as a Pi that is not Pi any more would send it.
#[derive(Clone, Debug)]
pub struct GatewayRequest {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// The body.
    pub body: Value,
    /// Whether it shows the run's token, which Pi knows.
    pub shows_token: bool,
}

/// One attack.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name: lower-case words with `-`.
    pub name: &'static str,
    /// What it tries, in a few words.
    pub tries: &'static str,
    /// What the approved SPEC lets the agent change.
    pub scope: Vec<&'static str>,
    /// What the planner answers instead of a harmless plan.
    pub plan: Option<Value>,
    /// The ticket's text instead of a harmless one.
    pub ticket: Option<String>,
    /// What the repository has beside its usual files: mode, path, content.
    pub files: Vec<(&'static str, &'static str, String)>,
    /// Further lines of `.sallyport.toml`.
    pub settings: String,
    /// The agent's first run. A harmless change and closing words follow by themselves, see [`Case::steps`].
    pub attack: Vec<AgentStep>,
    /// What the agent does when it is told that the diff or QA refused its change; by default it insists.
    pub second: Option<Vec<AgentStep>>,
    /// Whether the first run leaves the harmless change out.
    pub bare: bool,
    /// Sent to the gateway's socket while the agent runs.
    pub gateway: Option<GatewayRequest>,
    /// How far the ticket comes.
    pub end: End,
    /// The layer that must hold it, with the sign of that. All must be there.
    pub held: Vec<(Layer, Sign)>,
    /// Layers that hold it where another does not, with the sign of that.
    pub instead: Vec<(Layer, Sign)>,
    /// Signs of which none may be there, beside those that are looked for in every case.
    pub broke: Vec<Sign>,
    /// Secrets that the agent itself plants, which may be in the model's words and nowhere else.
    pub planted: Vec<String>,
}

/// What each repository has.
pub const USUAL: [&str; 6] = [
    ".sallyport.toml",
    ".gitignore",
    "README.md",
    "check.sh",
    "src/app.js",
    "src/other.js",
];

/// What every attack by a shell command prints if it gets what it wants.
pub const BROKE: &str = "BROKE-OUT";

/// How programs are called in the cases that must not outlive their room.
pub const SURVIVOR: &str = "sallyport-survivor";

impl Case {
    /// A case whose agent may change the README, and whose ticket comes to gate 2.
    #[must_use]
    pub fn new(name: &'static str, tries: &'static str) -> Self {
        Self {
            name,
            tries,
            scope: vec!["README.md"],
            plan: None,
            ticket: None,
            files: Vec::new(),
            settings: String::new(),
            attack: Vec::new(),
            second: None,
            bare: false,
            gateway: None,
            end: End::PrGate,
            held: Vec::new(),
            instead: Vec::new(),
            broke: Vec::new(),
            planted: Vec::new(),
        }
    }

    /// The agent runs a shell command.
    #[must_use]
    pub fn bash(self, command: impl Into<String>) -> Self {
        let command = self.named(&command.into());
        self.step(AgentStep::say("I try something.").bash(command))
    }

    /// The agent says or does something.
    #[must_use]
    pub fn step(mut self, step: AgentStep) -> Self {
        self.attack.push(step);
        self
    }

    /// `layer` must hold it, seen by `sign`.
    #[must_use]
    pub fn held_by(mut self, layer: Layer, sign: Sign) -> Self {
        self.held.push((layer, sign));
        self
    }

    /// `layer` must hold it, and a tool then says `text`.
    #[must_use]
    pub fn told(self, layer: Layer, text: impl Into<String>) -> Self {
        self.held_by(layer, Sign::Told(text.into()))
    }

    /// Where the layers that must hold it do not, `layer` does, seen by `sign`.
    #[must_use]
    pub fn or(mut self, layer: Layer, sign: Sign) -> Self {
        self.instead.push((layer, sign));
        self
    }

    /// The diff must hold it: `path` is named as out of scope.
    #[must_use]
    pub fn out_of_scope(self, path: impl Into<String>) -> Self {
        self.held_by(Layer::Diff, Sign::Failure(path.into()))
            .or(Layer::Push, Sign::Failure("nothing was pushed".to_owned()))
            .ends(End::Parked("OutOfScope"))
    }

    /// `sign` must not be there.
    #[must_use]
    pub fn broke_by(mut self, sign: Sign) -> Self {
        self.broke.push(sign);
        self
    }

    /// The agent plants this secret.
    #[must_use]
    pub fn planting(mut self, secret: &str) -> Self {
        self.planted.push(secret.to_owned());
        self
    }

    /// The agent calls one tool after the other.
    #[must_use]
    pub fn steps_without_end(mut self) -> Self {
        let step = AgentStep::say("Again.").bash("true");
        self.attack.extend(std::iter::repeat_n(step, 450));
        self
    }

    /// How far its ticket comes.
    #[must_use]
    pub fn ends(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    /// What the agent may change, instead of the README.
    #[must_use]
    pub fn scope(mut self, scope: &[&'static str]) -> Self {
        self.scope = scope.to_vec();
        self
    }

    /// A further file of the repository.
    #[must_use]
    pub fn file(self, path: &'static str, content: impl Into<String>) -> Self {
        self.entry("100644", path, content)
    }

    /// A further entry of the repository's tree.
    #[must_use]
    pub fn entry(
        mut self,
        mode: &'static str,
        path: &'static str,
        content: impl Into<String>,
    ) -> Self {
        let content = self.named(&content.into());
        self.files.push((mode, path, content));
        self
    }

    /// QA refuses the change for good, after one look.
    #[must_use]
    pub fn qa_failed(mut self) -> Self {
        self.settings
            .insert_str(0, "[policy.budget]\nrepairs = 0\n\n");
        self.ends(End::QaFailed)
    }

    /// Further lines of `.sallyport.toml`.
    #[must_use]
    pub fn settings(mut self, lines: impl Into<String>) -> Self {
        self.settings = lines.into();
        self
    }

    /// What a program of this case is called that must not outlive its room.
    #[must_use]
    pub fn survivor(&self) -> String {
        format!("{SURVIVOR}-{}.", self.name)
    }

    fn named(&self, text: &str) -> String {
        text.replace(SURVIVOR, &self.survivor())
    }

    /// The text by which all that belongs to this case is told.
    #[must_use]
    pub fn mark(&self) -> String {
        format!("[{}]", self.name)
    }

    /// The latch that holds the agent while the gateway is attacked.
    #[must_use]
    pub fn latch(&self) -> String {
        format!("gateway-{}", self.name)
    }

    /// The ticket's title.
    #[must_use]
    pub fn title(&self) -> String {
        format!("Say what the library is for {}", self.mark())
    }

    /// Adds to `scenario` what the model says to this case's ticket.
    #[must_use]
    pub fn script(&self, scenario: Scenario) -> Scenario {
        let mark = self.mark();
        let plan = self.plan.clone().unwrap_or_else(|| self.usual_plan());
        let second = self
            .second
            .clone()
            .unwrap_or_else(|| vec![AgentStep::say("I think that this is needed.")]);
        scenario
            .plan_when(&[&mark], [PlanAnswer::spec(plan)])
            .run_when(&[&mark], self.steps())
            .run_when(
                &[&mark, "were refused: some are out of scope"],
                second.clone(),
            )
            .run_when(&[&mark, "The quality gates ran on your change"], second)
    }

    fn steps(&self) -> Vec<AgentStep> {
        let mut steps = self.attack.clone();
        if self.gateway.is_some() {
            steps.push(
                AgentStep::say("A moment.")
                    .bash("true")
                    .wait_for(self.latch()),
            );
        }
        if !self.bare {
            steps.push(
                AgentStep::say("And the sentence.")
                    .bash("printf '\\nFor programs that show durations.\\n' >> README.md"),
            );
        }
        if steps.last().is_none_or(|last| !last.tools.is_empty()) {
            steps.push(AgentStep::say("That is all."));
        }
        steps
    }

    /// A plan that changes the files in scope.
    #[must_use]
    pub fn usual_plan(&self) -> Value {
        let files: Vec<Value> = self
            .scope
            .iter()
            .map(|path| {
                let is_there =
                    USUAL.contains(path) || self.files.iter().any(|file| file.1 == *path);
                let change = if is_there { "modify" } else { "create" };
                json!({"path": path, "change": change, "reason": "It is read first."})
            })
            .collect();
        json!({
            "title": self.title(),
            "problem": "The README does not say it.",
            "solution": "Add a sentence.",
            "files": files,
            "plan": ["Add a sentence."],
            "testing": ["None: no code changes."],
            "criteria": [{"text": "The README says what the library is for.", "check": "review"}],
            "patterns": [],
            "risks": [],
            "confidence": 0.9,
            "confidence_reasons": ["It is small, and a test shows it."],
            "open_questions": [],
        })
    }
}

/// A step that costs so many tokens.
#[must_use]
pub fn costs(step: AgentStep, output: u64) -> AgentStep {
    step.usage(crate::scripted_model::Usage {
        input: 1000,
        output,
        cached: 0,
    })
}

/// A step whose answer never ends.
#[must_use]
pub fn hangs(step: AgentStep) -> AgentStep {
    step.fail(100, FailureKind::Hang)
}
