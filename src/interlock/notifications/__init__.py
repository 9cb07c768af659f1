"""Notifications: what happened, told to people by email and to programs and chat tools by webhooks."""

from interlock.notifications.carrier import Carrier, Describe
from interlock.notifications.channels import EMAIL, Channels, Email, Webhook
from interlock.notifications.channels_file import load_channels
from interlock.notifications.cursors import Cursors, RunCursor
from interlock.notifications.delivery import DeliveryFailed
from interlock.notifications.kinds import KINDS, SUBSCRIBED, TEST, WAITING
from interlock.notifications.mail import MailSender
from interlock.notifications.notification import Details, Message, Notification
from interlock.notifications.outbox import Outbox, State, Told
from interlock.notifications.sender import Sender
from interlock.notifications.targets import names, targets
from interlock.notifications.webhook import WebhookSender

__all__ = [
    "EMAIL",
    "KINDS",
    "SUBSCRIBED",
    "TEST",
    "WAITING",
    "Carrier",
    "Channels",
    "Cursors",
    "DeliveryFailed",
    "Describe",
    "Details",
    "Email",
    "MailSender",
    "Message",
    "Notification",
    "Outbox",
    "RunCursor",
    "Sender",
    "State",
    "Told",
    "Webhook",
    "WebhookSender",
    "load_channels",
    "names",
    "targets",
]
