"""Its tokens for its API alone: as it comes, the middleware wants one on every page of the site."""

from typing import Any

from escalated.api_middleware import AuthenticateApiToken


class ApiTokens(AuthenticateApiToken):
    """The middleware, for what lies under the API's prefix."""

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> Any:
        """The answer where there is no token; else None."""
        if request.path.startswith("/support/api/"):
            return super().process_view(request, view, args, kwargs)
        return None
