"""One conversation's loaded pair and its events in, one plan and the events' endings out. Nothing is awaited here.

| file | holds |
|---|---|
| `planner` | a pair and its events → a plan, by the policy in use |
| `planners/causal`, `planners/legacy` | the planner of each policy |
| `planners/sweep` | a pair as it is stored → its drift and the plan of the repair |
| `planners/update` | a pair and an update that a client of the API sent → a plan and the update's result |
| `drafts/pair_records`, `drafts/draft_document` | the pair's documents as loaded and as they will be, with the state |
| `drafts/pair_draft` | the pair while it is planned: observes events, applies decisions, becomes the plan |
| `drafts/swept_draft` | the draft of the sweep |
| `pair_view` | the observed pair as policy `causal` sees it: gates and decision |
| `endings` | the endings of events, with their audit records |
| `kept_audit` | the audit records that a plan stores |
| `announcements` | the event that announces a write |
| `routing_step`, `routing_writes` | the outside writes of routing, after the pair is reconciled |
| `field_drifts` | the fields on which a swept pair differs |
| `session_places` | where sessions hold work-items, and where these say they are |
| `event_batch` | the events of a batch and their endings |
"""
