variable "name" {
  description = "Name of the queue, and the beginning of every other name."
  type        = string
  default     = "routing-sync"
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}

variable "fifo" {
  description = "FIFO queues and topics. The conversation id is the message group: conflicts and waits become rare."
  type        = bool
  default     = false
}

variable "conversation_topic_arn" {
  description = "ARN of the topic of conversation events, where it exists; null makes one."
  type        = string
  default     = null
}

variable "work_item_topic_arn" {
  description = "ARN of the topic of work-item events, where it exists; null makes one."
  type        = string
  default     = null
}

variable "raw_message_delivery" {
  description = "SNS's raw message delivery. The worker reads both forms; without it a message also has its topic's ARN."
  type        = bool
  default     = false
}

variable "visibility_timeout_seconds" {
  description = "At least twice STORE_DEADLINE_SECONDS (10), less than SYNC_GAP_SECONDS (60). Workers read it at their start."
  type        = number
  default     = 30

  validation {
    condition     = var.visibility_timeout_seconds >= 20 && var.visibility_timeout_seconds < 60
    error_message = "The timeout must be at least 20 s and less than 60 s: with other settings of the worker change this rule, too."
  }
}

variable "max_receive_count" {
  description = "Deliveries after which SQS moves a message to the dead-letter queue. The worker's retries grow to 15 minutes."
  type        = number
  default     = 10
}

variable "alarm_actions" {
  description = "ARNs of what an alarm notifies: an SNS topic of the team, not one of the two above."
  type        = list(string)
  default     = []
}

variable "ecs" {
  description = "Whether tasks of ECS may take the roles."
  type        = bool
  default     = false
}

variable "eks_oidc_provider_arn" {
  description = "ARN of the EKS cluster's OIDC provider, so that its service accounts may take the roles; null: none may."
  type        = string
  default     = null
}

variable "eks_namespace" {
  description = "Namespace of the service accounts `routing-sync` and `routing-sync-serve` (deploy/kubernetes)."
  type        = string
  default     = "routing-sync"
}
