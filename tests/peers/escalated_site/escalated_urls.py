"""The helpdesk at the root, as its own documentation sets it up; its API lies under /support/api/v1/."""

from django.urls import include, path

urlpatterns = [path("", include("escalated.urls"))]
