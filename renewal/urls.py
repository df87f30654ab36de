"""The map: the one file that may import edges."""

from django.contrib import admin
from django.urls import include, path

from renewal.views import contracts, dashboard, door, h5, identity, people, quarantine, segments, sign, sources, uploads

# The letter (renewal/views/h5.py says which address does what). <key> is a token, or "letter" once it is open.
letter = [
    path("", door.number, name="door"),
    path("code", door.code, name="door-code"),
    path("confirm", door.confirm, name="letter-confirm"),
    path("type", h5.large_type, name="letter-type"),
    path("brand.css", h5.brand, name="letter-brand"),
    path("<str:token>", h5.cover, name="letter-cover"),
    path("<str:token>/open", h5.open_letter, name="letter-open"),
    path("<str:key>/", h5.read, name="letter-read"),
    path("<str:key>/quote", h5.quote, name="letter-quote"),
    path("<str:key>/agreement", sign.agreement, name="letter-agreement"),
    path("<str:key>/code", sign.code, name="letter-code"),
    path("<str:key>/sign", sign.sign, name="letter-sign"),
    path("<str:key>/done", sign.done, name="letter-done"),
    path("<str:key>/agreement.txt", sign.text, name="letter-text"),
    path("<str:key>/renewal.ics", sign.calendar, name="letter-calendar"),
    path("<str:key>/decline", h5.decline, name="letter-decline"),
    path("<str:key>/notice", h5.notice, name="letter-notice"),
    path("<str:key>/general", h5.general, name="letter-general"),
    path("<str:key>/refuse", h5.refuse, name="letter-refuse"),
]

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/tenant/", people.roster_view, name="staff-tenants"),
    path("admin/tenant/<int:tenant_id>/", people.portrait_view, name="staff-tenant"),
    path("admin/tenant/<int:tenant_id>/alias/", people.alias_view, name="staff-alias"),
    path("admin/tenant/same/", identity.same_view, name="staff-same"),
    path("admin/tenant/<int:tenant_id>/merge/", identity.merge_view, name="staff-merge"),
    path("admin/tenant/merge/<int:merge_id>/", identity.undo_view, name="staff-undo-merge"),
    path("admin/contract/<int:lease_id>/", contracts.contract_view, name="staff-contract"),
    path("admin/contract/waiting/<int:pk>/", contracts.waiting_view, name="staff-waiting"),
    path("admin/contract/decision/<int:pk>/undo/", contracts.undo_view, name="staff-undo"),
    path("admin/day/next/", dashboard.next_day_view, name="staff-next-day"),
    path("admin/day/<str:day>/", dashboard.progress_view, name="staff-day"),
    path("admin/sources/upload/", uploads.hand_in_view, name="staff-upload"),
    path("admin/sources/upload/<int:upload_id>/columns/", uploads.columns_view, name="staff-upload-columns"),
    path("admin/sources/upload/<int:upload_id>/", uploads.rows_view, name="staff-upload-preview"),
    path("admin/sources/upload/<int:upload_id>/rows/", uploads.decide_view, name="staff-upload-rows"),
    path("admin/sources/upload/<int:upload_id>/done/", uploads.done_view, name="staff-upload-done"),
    path("admin/sources/", sources.overview_view, name="staff-sources"),
    path("admin/sources/<str:source>/retirement/", sources.retirement_view, name="staff-retirement"),
    path("admin/sources/quarantine/", quarantine.listing_view, name="staff-quarantine"),
    path("admin/sources/quarantine/replay", quarantine.replay_view, name="staff-quarantine-replay"),
    path("admin/sources/quarantine/export", quarantine.export_view, name="staff-quarantine-export"),
    path("admin/sources/quarantine/<int:pk>/", quarantine.record_view, name="staff-refusal"),
    path("admin/segment/", segments.listing_view, name="staff-segments"),
    path("admin/segment/<int:pk>/", segments.segment_view, name="staff-segment"),
    path("admin/segment/<int:pk>/why/<int:tenant_id>/", segments.why_view, name="staff-segment-why"),
    path("admin/", admin.site.urls),
    path("r/", include(letter)),
    path("", include("tenants.urls")),
]
