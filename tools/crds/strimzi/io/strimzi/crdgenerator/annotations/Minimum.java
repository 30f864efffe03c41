package io.strimzi.crdgenerator.annotations;

import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;

/** As the published classes use it; its own artifact is not published. */
@Retention(RetentionPolicy.RUNTIME)
public @interface Minimum {
    int value();
}
