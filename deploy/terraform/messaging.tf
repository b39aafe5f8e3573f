# Topics, queue and dead-letter queue, with the attributes that `routing-sync provision` gives them.

locals {
  suffix  = var.fifo ? ".fifo" : ""
  created = { for side, arn in local.given : side => "${side}-events${local.suffix}" if arn == null }
  given   = { conversation = var.conversation_topic_arn, work-item = var.work_item_topic_arn }
  topics  = { for side, arn in local.given : side => arn == null ? aws_sns_topic.events[side].arn : arn }
}

resource "aws_sns_topic" "events" {
  for_each = local.created

  name                        = each.value
  fifo_topic                  = var.fifo
  content_based_deduplication = var.fifo ? false : null
  # Orders within a conversation only, so each may have the full throughput. It cannot be undone.
  fifo_throughput_scope = var.fifo ? "MessageGroup" : null
  tags                  = var.tags
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters${local.suffix}"
  fifo_queue                = var.fifo
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_sqs_queue" "events" {
  name                        = "${var.name}${local.suffix}"
  fifo_queue                  = var.fifo
  content_based_deduplication = var.fifo ? false : null
  deduplication_scope         = var.fifo ? "messageGroup" : null
  fifo_throughput_limit       = var.fifo ? "perMessageGroupId" : null
  message_retention_seconds   = 1209600
  receive_wait_time_seconds   = 20
  visibility_timeout_seconds  = var.visibility_timeout_seconds
  sqs_managed_sse_enabled     = true
  tags                        = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

# A letter is a message as it came, so its queue is closed as the other one is.
resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "tls-only"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.dead_letters.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ]
  })
}

# Only the queue may have its letters there.
resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.events.arn]
  })
}

# Without the first statement SNS cannot deliver, and the queue stays empty without a word.
resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "routing-sync-topics"
        Effect    = "Allow"
        Principal = { Service = "sns.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.events.arn
        Condition = { ArnEquals = { "aws:SourceArn" = values(local.topics) } }
      },
      {
        Sid       = "tls-only"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.events.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }
    ]
  })
}

resource "aws_sns_topic_subscription" "events" {
  for_each = local.topics

  topic_arn            = each.value
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.events.arn
  raw_message_delivery = var.raw_message_delivery
  # By the name in the body, by its beginning: every event of conversations and work-items, because each carries a revision
  # that a pair may wait for, and the worker's own heartbeats.
  filter_policy_scope = "MessageBody"
  filter_policy = jsonencode({
    name = [
      { prefix = "kustomer.conversation." },
      { prefix = "kustomer.work-item." },
      { prefix = "routing-sync." }
    ]
  })

  depends_on = [aws_sqs_queue_policy.events]
}
