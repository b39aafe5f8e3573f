data "aws_region" "current" {}

output "settings" {
  description = "The worker's environment variables of these parts."
  value = {
    AWS_REGION                 = data.aws_region.current.region
    SQS_QUEUE_URL              = aws_sqs_queue.events.url
    SNS_CONVERSATION_TOPIC_ARN = local.topics["conversation"]
    SNS_WORK_ITEM_TOPIC_ARN    = local.topics["work-item"]
  }
}

output "dead_letter_queue_url" {
  description = "For the operators."
  value       = aws_sqs_queue.dead_letters.url
}

output "role_arns" {
  description = "The roles of `run` and `serve`."
  value       = { for process, role in aws_iam_role.process : process => role.arn }
}

output "policy_arns" {
  description = "To attach to people, to a pipeline, and to KEDA's operator."
  value = {
    doctor    = aws_iam_policy.doctor.arn
    provision = aws_iam_policy.provision.arn
    operators = aws_iam_policy.operators.arn
    scaler    = aws_iam_policy.scaler.arn
  }
}
