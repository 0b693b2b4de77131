//! What a run did, activation by activation, and the same again on a fresh instance. A history holds less than
//! happened: queries and refused updates are not in it, validators do not run again, and patches are announced before.

use temporalio_common::protos::coresdk::{
    workflow_activation::{
        NotifyHasPatch, WorkflowActivation, WorkflowActivationJob,
        workflow_activation_job::Variant as Job,
    },
    workflow_commands::{WorkflowCommand, update_response::Response, workflow_command::Variant},
};
use temporalio_workflow::__private::sdk::WorkflowInit;

use crate::{
    error::{Place, SimulationError},
    instance::{Factory, Instance},
};

/// One run from its start.
pub struct Recording {
    /// The run's activations, without queries.
    pub activations: Vec<Recorded>,
    init: WorkflowInit,
    run: usize,
}

/// One activation and what came of it.
pub struct Recorded {
    /// What the workflow was told.
    pub activation: WorkflowActivation,
    /// What it answered.
    pub commands: Vec<WorkflowCommand>,
    /// The current details afterwards.
    pub details: String,
}

impl Recording {
    /// Of a run that has not begun; runs count from 1.
    pub fn begin(init: WorkflowInit, run: usize) -> Self {
        Self {
            activations: Vec::new(),
            init,
            run,
        }
    }

    /// An instance that stands where the run begins.
    pub fn instance(&self, factory: Factory) -> Result<Instance, SimulationError> {
        let place = Place::new(self.run, 1, &WorkflowActivation::default());
        Instance::new(factory, self.init.clone()).map_err(|error| place.failed(error))
    }

    /// Feeds all activations to a fresh instance and demands the same commands and current details, byte for byte.
    /// Answers with that instance, which stands where the recorded one stood.
    pub fn replay(&self, factory: Factory) -> Result<Instance, SimulationError> {
        let mut instance = self.instance(factory)?;
        for (index, recorded) in self.activations.iter().enumerate() {
            let Some((activation, commands)) = recorded.in_history() else {
                continue;
            };
            let place = || Place::new(self.run, index + 1, &recorded.activation);
            let replayed = instance.run(activation);
            let replayed = replayed.map_err(|error| place().failed(error))?;
            let difference = first_difference(&commands, &replayed).or_else(|| {
                let details = instance.current_details();
                (details != recorded.details).then(|| (recorded.details.clone(), details))
            });
            if let Some((recorded, replayed)) = difference {
                return Err(SimulationError::Nondeterministic {
                    place: place(),
                    recorded,
                    replayed,
                });
            }
        }
        Ok(instance)
    }
}

impl Recorded {
    /// What of it a history has, as it is replayed; nothing where an activation leaves no trace.
    fn in_history(&self) -> Option<(WorkflowActivation, Vec<&WorkflowCommand>)> {
        let mut activation = self.activation.clone();
        let accepted = |id: &str| {
            let mut responses = self.commands.iter().filter_map(response);
            responses.any(|response| response == (id, &Response::Accepted(())))
        };
        let mut refused = Vec::new();
        activation.jobs.retain_mut(|job| match &mut job.variant {
            Some(Job::DoUpdate(update)) if !accepted(&update.protocol_instance_id) => {
                refused.push(update.protocol_instance_id.clone());
                false
            }
            Some(Job::DoUpdate(update)) => {
                update.run_validator = false;
                true
            }
            _ => true,
        });
        let mut commands: Vec<_> = self.commands.iter().collect();
        commands.retain(|command| {
            let answers_refused = |id| refused.iter().any(|refused| refused == id);
            !response(command).is_some_and(|(id, _)| answers_refused(id))
        });
        if activation.jobs.is_empty() && commands.is_empty() {
            return None;
        }
        let patches = commands
            .iter()
            .filter_map(|command| match &command.variant {
                Some(Variant::SetPatchMarker(marker)) => Some(marker.patch_id.clone()),
                _ => None,
            });
        let patches = patches.map(|patch_id| Job::NotifyHasPatch(NotifyHasPatch { patch_id }));
        activation
            .jobs
            .extend(patches.map(WorkflowActivationJob::from));
        activation.jobs.sort_by_key(order);
        activation.is_replaying = true;
        Some((activation, commands))
    }
}

/// Where a job stands in its activation, as the SDK's core sorts them (`prepare_to_ship_activation`).
pub fn order(job: &WorkflowActivationJob) -> u8 {
    match &job.variant {
        Some(Job::InitializeWorkflow(_)) => 0,
        Some(Job::NotifyHasPatch(_)) => 1,
        Some(Job::SignalWorkflow(_) | Job::DoUpdate(_)) => 2,
        _ => 3,
    }
}

fn response(command: &WorkflowCommand) -> Option<(&str, &Response)> {
    match &command.variant {
        Some(Variant::UpdateResponse(said)) => {
            Some((&said.protocol_instance_id, said.response.as_ref()?))
        }
        _ => None,
    }
}

fn first_difference(
    recorded: &[&WorkflowCommand],
    replayed: &[WorkflowCommand],
) -> Option<(String, String)> {
    let places = 0..recorded.len().max(replayed.len());
    let pair = |place| (recorded.get(place).copied(), replayed.get(place));
    let (recorded, replayed) = places.map(pair).find(|(left, right)| left != right)?;
    let show = |command: Option<_>| command.map_or("nothing".to_owned(), describe);
    Some((show(recorded), show(replayed)))
}

/// A command for people, with payloads as text where they tell commands apart.
fn describe(command: &WorkflowCommand) -> String {
    let payloads = match &command.variant {
        Some(Variant::ScheduleActivity(schedule)) => &schedule.arguments[..],
        Some(Variant::ContinueAsNewWorkflowExecution(next)) => &next.arguments,
        Some(Variant::CompleteWorkflowExecution(end)) => end.result.as_slice(),
        _ => &[],
    };
    let texts = payloads
        .iter()
        .map(|payload| String::from_utf8_lossy(&payload.data));
    let texts: String = texts.collect();
    format!("{command} {texts} {command:?}")
}
