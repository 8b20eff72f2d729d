package nylasapi

// Triggers are the trigger types that can be subscribed to, for completion only: Nylas
// adds to them and is the one to refuse.
// https://developer.nylas.com/docs/reference/notifications/
var Triggers = []string{
	"booking.cancelled", "booking.created", "booking.pending", "booking.reminder", "booking.rescheduled",
	"calendar.created", "calendar.deleted", "calendar.updated",
	"contact.deleted", "contact.updated", // there is no contact.created
	"event.created", "event.deleted", "event.updated",
	"folder.created", "folder.deleted", "folder.updated",
	"grant.created", "grant.deleted", "grant.expired", "grant.imap_sync_completed", "grant.updated",
	"message.bounce_detected", "message.bounced", "message.complaint", "message.created", "message.created.cleaned",
	"message.deleted", "message.delivered", "message.link_clicked", "message.link_clicked.legacy", "message.opened",
	"message.opened.legacy", "message.rejected", "message.send_failed", "message.send_success",
	"message.transactional.bounced", "message.transactional.complaint", "message.transactional.delivered",
	"message.transactional.rejected", "message.updated",
	"notetaker.created", "notetaker.deleted", "notetaker.media", "notetaker.meeting_state", "notetaker.updated",
	"thread.replied", "thread.replied.legacy",
}
