# What CloudWatch sees without any worker: those of Datadog (deploy/datadog) need a worker that sends metrics. Each
# description names its section of docs/runbook.md and the reason for its threshold.

locals {
  alarms = {
    dead-letters-by-sqs = {
      description = "The dead-letter queue is not empty. A healthy system has no dead letter; those that SQS moved count here, too."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = aws_sqs_queue.dead_letters.name }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
    }
    queue-age = {
      description = "A message has waited for five minutes, ten times what makes the scaler add workers."
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = aws_sqs_queue.events.name }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 300
      minutes     = 3
      missing     = "notBreaching"
    }
    silence = {
      description = "No worker has settled a message for ten minutes. The heartbeats alone are 30 messages in that time."
      namespace   = "AWS/SQS"
      metric      = "NumberOfMessagesDeleted"
      dimensions  = { QueueName = aws_sqs_queue.events.name }
      statistic   = "Sum"
      comparison  = "LessThanThreshold"
      threshold   = 1
      minutes     = 10
      missing     = "breaching"
    }
    in-flight = {
      description = "SQS holds at most 120,000 messages of a queue in flight and then delivers no more. At 100,000 there is time to act."
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesNotVisible"
      dimensions  = { QueueName = aws_sqs_queue.events.name }
      statistic   = "Maximum"
      comparison  = "GreaterThanThreshold"
      threshold   = 100000
      minutes     = 2
      missing     = "notBreaching"
    }
    delivery-failed = {
      description = "SNS could not deliver an event to one of its subscriptions. After its retries the event is lost, so none may fail."
      namespace   = "AWS/SNS"
      metric      = "NumberOfNotificationsFailed"
      dimensions  = { TopicName = element(split(":", local.topics["conversation"]), 5) }
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
    }
    delivery-failed-work-items = {
      description = "SNS could not deliver an event to one of its subscriptions. After its retries the event is lost, so none may fail."
      namespace   = "AWS/SNS"
      metric      = "NumberOfNotificationsFailed"
      dimensions  = { TopicName = element(split(":", local.topics["work-item"]), 5) }
      statistic   = "Sum"
      comparison  = "GreaterThanThreshold"
      threshold   = 0
      minutes     = 1
      missing     = "notBreaching"
      runbook     = "delivery-failed"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "routing_sync" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.description} Runbook: docs/runbook.md#${try(each.value.runbook, each.key)}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
