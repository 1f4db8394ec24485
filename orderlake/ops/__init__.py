"""Operations: whom to tell when something fails. Nothing here knows Dagster."""
