# The policies are the files of deploy/, which the tests hold against the calls that the code makes. Here they get the
# names of this installation.

locals {
  policies = {
    for name in ["iam-policy", "iam-serve", "iam-doctor", "iam-provision", "iam-redrive"] : name =>
    replace(replace(replace(replace(
      file("${path.module}/../${name}.json"),
      "arn:aws:sqs:REGION:ACCOUNT:QUEUE", aws_sqs_queue.events.arn),
      "arn:aws:sqs:REGION:ACCOUNT:DEAD_LETTER_QUEUE", aws_sqs_queue.dead_letters.arn),
      "arn:aws:sns:REGION:ACCOUNT:CONVERSATION_TOPIC", local.topics["conversation"]),
    "arn:aws:sns:REGION:ACCOUNT:WORK_ITEM_TOPIC", local.topics["work-item"])
  }
  oidc_issuer = var.eks_oidc_provider_arn == null ? "" : element(split("oidc-provider/", var.eks_oidc_provider_arn), 1)
  processes = {
    worker = { account = "routing-sync", policy = "iam-policy" }
    serve  = { account = "routing-sync-serve", policy = "iam-serve" }
  }
}

data "aws_iam_policy_document" "trust" {
  for_each = local.processes

  dynamic "statement" {
    for_each = var.ecs ? [1] : []
    content {
      actions = ["sts:AssumeRole"]
      principals {
        type        = "Service"
        identifiers = ["ecs-tasks.amazonaws.com"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.eks_oidc_provider_arn == null ? [] : [1]
    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]
      principals {
        type        = "Federated"
        identifiers = [var.eks_oidc_provider_arn]
      }
      condition {
        test     = "StringEquals"
        variable = "${local.oidc_issuer}:sub"
        values   = ["system:serviceaccount:${var.eks_namespace}:${each.value.account}"]
      }
      condition {
        test     = "StringEquals"
        variable = "${local.oidc_issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
}

# One role for each process: `serve` publishes events of work-items, and cannot read the queue.
resource "aws_iam_role" "process" {
  for_each = local.processes

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
  tags               = var.tags

  lifecycle {
    precondition {
      condition     = var.ecs || var.eks_oidc_provider_arn != null
      error_message = "Nobody could take the roles: set ecs, or eks_oidc_provider_arn."
    }
  }
}

resource "aws_iam_role_policy" "process" {
  for_each = local.processes

  name   = each.value.policy
  role   = aws_iam_role.process[each.key].id
  policy = local.policies[each.value.policy]
}

# What `routing-sync doctor` and the worker's watch of its delivery read beside: the subscriptions of the queue.
resource "aws_iam_policy" "doctor" {
  name        = "${var.name}-doctor"
  description = "routing-sync doctor: reads the subscriptions of the queue."
  policy      = local.policies["iam-doctor"]
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "doctor" {
  role       = aws_iam_role.process["worker"].name
  policy_arn = aws_iam_policy.doctor.arn
}

# For whoever runs `routing-sync provision`. This module does the same work, so mostly nobody needs it.
resource "aws_iam_policy" "provision" {
  name        = "${var.name}-provision"
  description = "routing-sync provision: makes and corrects queues, topics and subscriptions."
  policy      = local.policies["iam-provision"]
  tags        = var.tags
}

# For operators, never for the worker: reading, exporting and redriving dead letters.
resource "aws_iam_policy" "operators" {
  name        = "${var.name}-redrive"
  description = "routing-sync dead-letters and redrive: reads dead letters and puts them back."
  policy      = local.policies["iam-redrive"]
  tags        = var.tags
}

# For the operator of KEDA (deploy/kubernetes/keda): it reads the depth and the age of the queue.
resource "aws_iam_policy" "scaler" {
  name        = "${var.name}-scaler"
  description = "KEDA: reads the queue's attributes and its metrics."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = "sqs:GetQueueAttributes", Resource = aws_sqs_queue.events.arn },
      { Effect = "Allow", Action = "cloudwatch:GetMetricData", Resource = "*" }
    ]
  })
  tags = var.tags
}
