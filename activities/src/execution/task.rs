//! What the agent is told to do in a run, from what the workflow says and what is stored.

use sallyport_workflows::{ObjectRef, activities::AgentTask};

use super::{
    Run,
    prompt::{self, Task},
    refused::{self, RefusedPath},
};
use crate::{failure::StepError, scope::granted};

/// The largest original that is shown to an agent that has to put it back.
const MAXIMUM_ORIGINAL: u64 = 16 << 10;

impl Run<'_> {
    /// What the agent is told: the SPEC, and what to do now.
    pub(super) async fn prompt(&self, resumed: bool) -> Result<String, StepError> {
        let objects = &self.context.objects;
        let read = async |reference: &ObjectRef| -> Result<String, StepError> {
            Ok(objects.get_text(reference).await?)
        };
        let task = match &self.input.task {
            AgentTask::Implement => Task::Implement,
            AgentTask::MendScope { paths } => {
                let refused = self.still_refused(refused::read(&read(paths).await?));
                let originals = self.originals(&refused).await?;
                Task::MendScope { refused, originals }
            }
            AgentTask::Repair { report } => Task::Repair(read(report).await?),
            AgentTask::ChangesRequested { comments } => {
                Task::ChangesRequested(read(comments).await?)
            }
            AgentTask::ScopeAnswered {
                request,
                granted,
                comments,
            } => Task::ScopeAnswered {
                request: granted::stored(objects, request).await?,
                // What counts is what widens the scope.
                granted: *granted && self.input.grants.contains(request),
                comments: match comments {
                    Some(comments) => Some(read(comments).await?),
                    None => None,
                },
            },
        };
        let ticket_id = &self.input.key.ticket.ticket_id;
        Ok(prompt::text(ticket_id, &self.approved.text, &task, resumed))
    }

    /// Those of `refused` that still are: some may have been granted since.
    fn still_refused(&self, refused: Vec<RefusedPath>) -> Vec<RefusedPath> {
        let is_open = |path: &str| self.granted.scope.is_open(path.as_bytes());
        refused
            .into_iter()
            .filter(|refused| !is_open(&refused.path))
            .collect()
    }

    /// What the base commit has at those of the paths that it has: the agent can't look it up, since there is no git in its
    /// room.
    async fn originals(&self, refused: &[RefusedPath]) -> Result<Vec<(String, String)>, StepError> {
        let mut originals = Vec::new();
        for RefusedPath { path, .. } in refused.iter().take(20) {
            let base = &self.input.spec.base_commit;
            let Ok(Some(content)) = self.mirror.read(base, path, MAXIMUM_ORIGINAL).await else {
                continue;
            };
            if let Ok(content) = String::from_utf8(content) {
                originals.push((path.clone(), content));
            }
        }
        Ok(originals)
    }
}
